/* hub/source/source.h in memory: one repository with a folder for each kind of application, which
 * grows by commits. A commit makes new versions of some folders, and some versions have a flaw. What
 * a bundle was rendered from stands in it. */
#include "tests/sim/hub/world.h"

#include "common/base/encode.h"
#include "hub/source/source.h"

#include <stdio.h>
#include <stdlib.h>

#define MARK "sim-content-"

static struct cox_map known; /* hex of a bundle -> index of its content + 1, by path and version */

#define MANIFEST                                                                                   \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: about}\ndata: {is: '" MARK "%d-%u-'}\n" \
	"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"                      \
	"spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: "  \
	"{app: web}}, spec: {containers: [{name: web, image: 'web:%u'}]}}}\n"

static void add_file(struct hub_tree *tree, const struct sim_path *p, const struct sim_content *c)
{
	_cleanup_free_ char *path = cox_asprintf("%s/all.yaml", p->name);
	_cleanup_free_ char *text =
		c->flaw == SIM_UNRENDERABLE
			? cox_asprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %u\n",
				       c->version)
			: cox_asprintf(MANIFEST, c->path, c->version, c->version);
	struct cox_error err = COX_ERROR_INIT;

	if (hub_tree_memory_add(tree, path, cox_str(text), &err) < 0)
		cox_bug(__FILE__, __LINE__, err.message);
}

static void new_version(int i, bool good)
{
	struct sim_path *p = &w.paths[i];
	struct sim_content c = {.path = i, .version = (unsigned)p->versions.n + 1, .of = 1};

	if (!good && sim_chance(&w.rng, 35)) {
		c.flaw = (enum sim_flaw)sim_between(&w.rng, SIM_NEVER_HEALTHY, SIM_UNRENDERABLE);
		c.of = (unsigned)sim_between(&w.rng, 1, 4);
	}
	cox_vec_push(&p->versions, c);
}

static const struct sim_content *head_of(int i)
{
	return &w.paths[i].versions.items[w.paths[i].versions.n - 1];
}

static void make_commit(void)
{
	struct sim_commit c = {.tree = hub_tree_new_memory()};

	snprintf(c.id, sizeof(c.id), "%08x%032x", (unsigned)cox_rng_next(&w.rng),
		 (unsigned)w.commits.n + 1);
	for (int i = 0; i < w.n_paths; i++) {
		add_file(c.tree, &w.paths[i], head_of(i));
		c.versions[i] = head_of(i)->version;
		sim_trace("git: %s has %s version %u, flaw %d of %u", c.id, w.paths[i].name,
			  head_of(i)->version, (int)head_of(i)->flaw, head_of(i)->of);
	}
	cox_vec_push(&w.commits, c);
	w.stats.git++;
}

void sim_repos_commit(bool mend)
{
	bool any = false;

	for (int i = 0; i < w.n_paths; i++) {
		if (mend ? head_of(i)->flaw == SIM_GOOD : !sim_chance(&w.rng, 60))
			continue;
		new_version(i, mend);
		any = true;
	}
	if (any)
		make_commit();
}

void sim_repos_open(void)
{
	for (int i = 0; i < w.n_paths; i++)
		new_version(i, true);
	make_commit();
}

void sim_repos_close(void)
{
	COX_VEC_EACH (&w.commits, c)
		hub_tree_unref(c->tree);
	cox_vec_fini(&w.commits);
	for (int i = 0; i < w.n_paths; i++)
		cox_vec_fini(&w.paths[i].versions);
	cox_map_fini(&known);
}

/* ---- what a bundle is ---- */

const struct sim_content *sim_content_of(int path, unsigned version)
{
	return &w.paths[path].versions.items[version - 1];
}

void sim_bundle_learn(const char *hex, struct cox_str row)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	const char *mark;
	int path = 0;
	unsigned version = 0;

	if (cox_map_has(&known, hex) || hub_bundle_unpack(row, &json, NULL) < 0)
		return;
	mark = strstr(cox_buf_cstr(&json), MARK);
	if (mark && sscanf(mark + strlen(MARK), "%d-%u-", &path, &version) == 2)
		cox_map_set(&known, hex, (void *)(((size_t)version << 8 | (size_t)path) + 1));
}

const struct sim_content *sim_content_by_digest(const uint8_t digest[HUB_DIGEST_BYTES])
{
	char hex[2 * HUB_DIGEST_BYTES + 1];
	size_t n;

	cox_hex_encode(digest, HUB_DIGEST_BYTES, hex);
	n = (size_t)cox_map_get(&known, hex);
	return n ? sim_content_of((int)((n - 1) & 0xff), (unsigned)((n - 1) >> 8)) : NULL;
}

bool sim_is_flawed_on(const struct sim_content *c, const struct sim_agent *a)
{
	return c->flaw != SIM_GOOD && a->index % (int)c->of == 0;
}

/* ---- the interface ---- */

int hub_source_open(const struct hub_source_options *options, struct hub_source **ret_source,
		    struct cox_error *err)
{
	(void)options;
	(void)err;
	*ret_source = (struct hub_source *)&w.commits;
	return 0;
}

void hub_source_cancel(struct hub_source *s)
{
	(void)s;
}

void hub_source_close(struct hub_source *s)
{
	(void)s;
}

int hub_source_fetch(struct hub_source *s, const char *url,
		     const struct hub_credentials *credentials, struct cox_error *err)
{
	(void)s;
	(void)credentials;
	if (w.git_down || sim_strikes(w.rates.fetch_error))
		return cox_error(err, COX_UNAVAILABLE, "'%s' does not answer", url);
	return 1;
}

int hub_source_resolve(struct hub_source *s, const char *url, const char *revision,
		       const char *tag_prefix, struct hub_revision *ret_revision,
		       struct cox_error *err)
{
	(void)s;
	(void)url;
	(void)tag_prefix;
	if (strcmp(revision, "HEAD") != 0)
		return cox_error(err, COX_NOT_FOUND, "no revision '%s'", revision);
	snprintf(ret_revision->commit, sizeof(ret_revision->commit), "%s",
		 w.commits.items[w.commits.n - 1].id);
	return 0;
}

int hub_source_tree(struct hub_source *s, const char *url, const char *commit,
		    struct hub_tree **ret_tree, struct cox_error *err)
{
	(void)s;
	(void)url;
	COX_VEC_EACH (&w.commits, c)
		if (strcmp(c->id, commit) == 0) {
			*ret_tree = hub_tree_ref(c->tree);
			return 0;
		}
	return cox_error(err, COX_NOT_FOUND, "no commit '%s'", commit);
}

bool hub_url_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
