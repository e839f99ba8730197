#include "hub/source/resolve.h"

#include "common/base/mem.h"
#include "common/base/vec.h"
#include "common/text/semver.h"
#include "hub/source/private.h"

#include <ctype.h>
#include <stdio.h>

#define SHORT_MIN 7

const char *hub_choose_tag(struct cox_str constraint, const char *tag_prefix,
			   const char *const *tags, size_t n_tags)
{
	COX_CLEANUP(cox_constraint_free_p) struct cox_constraint *c = NULL;
	struct cox_semver best_version;
	const char *best = NULL;

	if (cox_constraint_parse(constraint, &c, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < n_tags; i++) {
		struct cox_semver v;
		int order;

		if (!cox_str_starts(cox_str(tags[i]), tag_prefix) ||
		    cox_semver_parse(cox_str(tags[i] + strlen(tag_prefix)), &v, NULL) < 0 ||
		    !cox_constraint_check(c, &v))
			continue;
		order = best ? cox_semver_compare(&v, &best_version) : 1;
		/* Equal versions ("1.2.3" and "v1.2.3"): the answer must not depend on the order. */
		if (order < 0 || (order == 0 && strcmp(tags[i], best) > 0))
			continue;
		best = tags[i];
		best_version = v;
	}
	return best;
}

/* Each of these answers 1 found, 0 not this way, negative. */

static int found(struct hub_revision *out, enum hub_revision_kind kind, git_object *commit,
		 const char *ref)
{
	*out = (struct hub_revision){.kind = kind};
	git_oid_tostr(out->commit, sizeof(out->commit), git_object_id(commit));
	snprintf(out->ref, sizeof(out->ref), "%s", ref);
	return 1;
}

static int try_ref(git_repository *repo, const char *name, enum hub_revision_kind kind,
		   struct hub_revision *out, struct cox_error *err)
{
	_cleanup_object_ git_object *commit = NULL;
	_cleanup_ref_ git_reference *ref = NULL, *direct = NULL;

	if (strlen(name) >= sizeof(out->ref) || git_reference_lookup(&ref, repo, name) < 0)
		return 0;
	/* HEAD may name a branch that has no commit yet. */
	if (git_reference_resolve(&direct, ref) < 0)
		return 0;
	if (git_reference_peel(&commit, direct, GIT_OBJECT_COMMIT) < 0)
		return cox_error(err, COX_FAILED_PRECONDITION, "'%s' does not lead to a commit",
				 name);
	return found(out, kind, commit, git_reference_name(direct));
}

static int try_below(git_repository *repo, const char *folder, const char *name,
		     enum hub_revision_kind kind, struct hub_revision *out, struct cox_error *err)
{
	_cleanup_free_ char *full = cox_asprintf("%s%s", folder, name);

	return try_ref(repo, full, kind, out, err);
}

static bool is_hex(const char *text)
{
	for (; *text; text++)
		if (!isxdigit((unsigned char)*text))
			return false;
	return true;
}

static int try_commit(git_repository *repo, const char *text, struct hub_revision *out,
		      struct cox_error *err)
{
	_cleanup_object_ git_object *object = NULL, *commit = NULL;
	size_t n = strlen(text);
	git_oid id;
	int r;

	if (n < SHORT_MIN || n > GIT_OID_HEXSZ || !is_hex(text) ||
	    git_oid_fromstrn(&id, text, n) < 0)
		return 0;
	r = git_object_lookup_prefix(&object, repo, &id, n, GIT_OBJECT_ANY);
	if (r == GIT_EAMBIGUOUS)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "'%s' is short for more than one commit: write more digits", text);
	/* A blob's or a tree's name says nothing. */
	if (r < 0 || git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
		return 0;
	return found(out, HUB_REVISION_COMMIT, commit, "");
}

static int try_constraint(git_repository *repo, const char *text, const char *tag_prefix,
			  struct hub_revision *out, struct cox_error *err)
{
	git_strarray tags = {0};
	const char *best;
	int r = 0;

	if (!cox_constraint_is(cox_str(text)) || git_tag_list(&tags, repo) < 0)
		return 0;
	best = hub_choose_tag(cox_str(text), tag_prefix, (const char *const *)tags.strings,
			      tags.count);
	if (best)
		r = try_below(repo, "refs/tags/", best, HUB_REVISION_SEMVER, out, err);
	git_strarray_dispose(&tags);
	return r;
}

static int check_text(const char *text, struct cox_error *err)
{
	if (strlen(text) >= HUB_LIMIT_REVISION_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "revision is longer than %d bytes",
				 HUB_LIMIT_REVISION_BYTES - 1);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "revision has a control character");
	return 0;
}

static int resolve(git_repository *repo, const char *text, const char *tag_prefix,
		   struct hub_revision *out, struct cox_error *err)
{
	int r = 0;

	if (strlen(text) == GIT_OID_HEXSZ)
		r = try_commit(repo, text, out, err);
	if (r == 0 && (!*text || strcmp(text, "HEAD") == 0))
		return try_ref(repo, "HEAD", HUB_REVISION_HEAD, out, err);
	if (r == 0 && strncmp(text, "refs/", 5) == 0)
		r = try_ref(repo, text,
			    strncmp(text, "refs/tags/", 10) == 0 ? HUB_REVISION_TAG
								 : HUB_REVISION_BRANCH,
			    out, err);
	if (r == 0)
		r = try_constraint(repo, text, tag_prefix, out, err);
	if (r == 0)
		r = try_below(repo, "refs/heads/", text, HUB_REVISION_BRANCH, out, err);
	if (r == 0)
		r = try_below(repo, "refs/tags/", text, HUB_REVISION_TAG, out, err);
	if (r == 0)
		r = try_commit(repo, text, out, err);
	return r;
}

static int not_found(const char *url, const char *text, const char *tag_prefix,
		     struct cox_error *err)
{
	if (!*text || strcmp(text, "HEAD") == 0)
		return cox_error(err, COX_NOT_FOUND,
				 "'%s' has no HEAD: it is empty, or its default branch is gone",
				 url);
	if (cox_constraint_is(cox_str(text)))
		return cox_error(err, COX_NOT_FOUND,
				 "revision '%s' not found in '%s': no tag%s%s fulfils it", text,
				 url, *tag_prefix ? " with prefix " : "", tag_prefix);
	return cox_error(err, COX_NOT_FOUND,
			 "revision '%s' not found in '%s': no such branch, tag or commit", text,
			 url);
}

int hub_source_resolve(struct hub_source *s, const char *url, const char *revision,
		       const char *tag_prefix, struct hub_revision *ret_revision,
		       struct cox_error *err)
{
	_cleanup_repo_ git_repository *repo = NULL;
	struct hub_revision out;
	struct mirror *m;
	int r;

	if (!revision)
		revision = "";
	if (!tag_prefix)
		tag_prefix = "";
	r = check_text(revision, err);
	if (r == 0)
		r = hub_mirror_find(s, url, &m, &repo, err);
	if (r < 0)
		return r;
	r = resolve(repo, revision, tag_prefix, &out, err);
	if (r == 0)
		return not_found(m->url.clean, revision, tag_prefix, err);
	if (r < 0)
		return r;
	*ret_revision = out;
	return 0;
}
