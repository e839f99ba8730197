/* Repositories that a kustomization names, beyond the Application's own sources: a rendering finds
 * out which they are, they are followed like sources, and it is rendered again with them. Only what
 * the AppProject permits as a source is ever fetched. */
#include "hub/control/internal.h"
#include "hub/source/source.h"

static bool is_among(const control_repos *list, const struct control_repo *repo)
{
	COX_VEC_EACH (list, r)
		if (*r == repo)
			return true;
	return false;
}

void control_app_leave(struct control_app *a, struct control_repo *repo)
{
	if (!is_among(&a->repos, repo) && !is_among(&a->remotes, repo))
		control_repo_leave(a->control, repo, a->key);
}

void control_app_leave_all(struct control_app *a, control_repos *list)
{
	while (list->n)
		control_app_leave(a, list->items[--list->n]);
}

static bool is_of(const struct control_repo *repo, const struct control_remote *remote)
{
	return strcmp(repo->url, remote->url) == 0 && strcmp(repo->revision, remote->revision) == 0;
}

void control_remotes_fini(control_remotes *list)
{
	COX_VEC_EACH (list, r) {
		free(r->url);
		free(r->revision);
	}
	cox_vec_fini(list);
}

struct control_remote *control_remote_find(const control_remotes *list, const char *url,
					   const char *revision)
{
	COX_VEC_EACH (list, r)
		if (hub_url_same(r->url, url) && strcmp(r->revision, revision) == 0)
			return r;
	return NULL;
}

void control_remote_add(control_remotes *list, const char *url, const char *revision,
			const char *commit)
{
	struct control_remote one = {.url = cox_strdup(url), .revision = cox_strdup(revision)};

	memcpy(one.commit, commit, strlen(commit) + 1);
	cox_vec_push(list, one);
}

/* ---- on the loop ---- */

static int check(struct control_app *a, const char *url, struct cox_error *err)
{
	COX_CLEANUP(cox_project_fini) struct cox_project project = {0};
	int r = control_app_project(a, &project, err);

	if (r == 0)
		r = cox_project_check_source(&project, url, err);
	return r < 0 ? cox_error_wrap(err, "remote base") : 0;
}

int control_remotes_need(struct control_app *a, const control_remotes *needed,
			 const cox_strings *commits, struct cox_error *err)
{
	COX_VEC_EACH (needed, n)
		if (check(a, n->url, err) < 0) {
			free(a->denied);
			a->denied = cox_strdup(n->url);
			return -COX_PERMISSION_DENIED;
		}
	COX_VEC_EACH (needed, n) {
		struct control_repo *repo = control_repo_follow(a, n->url, n->revision, "");

		if (!is_among(&a->remotes, repo))
			cox_vec_push(&a->remotes, repo);
	}
	cox_strings_fini(&a->waits.commits);
	a->waits.generation = a->job_generation;
	COX_VEC_EACH (commits, commit)
		cox_vec_push(&a->waits.commits, cox_strdup(*commit));
	return 0;
}

bool control_remotes_let_render(const struct control_app *a)
{
	const cox_strings *commits = &a->waits.commits;

	if (!commits->n || commits->n != a->repos.n || a->waits.generation != a->generation)
		return true;
	for (size_t i = 0; i < commits->n; i++)
		if (strcmp(commits->items[i], a->repos.items[i]->commit) != 0)
			return true;
	COX_VEC_EACH (&a->remotes, repo)
		if (!(*repo)->commit[0])
			return false;
	return true;
}

void control_remotes_take(struct control_app *a, const control_remotes *used, bool all)
{
	control_repos left = {0};
	size_t n = 0;

	cox_strings_fini(&a->rendered.remotes);
	cox_strings_fini(&a->waits.commits);
	COX_VEC_EACH (&a->remotes, repo) {
		const struct control_remote *found = NULL;

		COX_VEC_EACH (used, u)
			if (is_of(*repo, u) && (all || u->used))
				found = u;
		if (!found) {
			cox_vec_push(&left, *repo);
			continue;
		}
		cox_vec_push(&a->rendered.remotes, cox_strdup(found->commit));
		a->remotes.items[n++] = *repo;
	}
	a->remotes.n = n;
	control_app_leave_all(a, &left);
	cox_vec_fini(&left);
	if (!all)
		free(TAKE(a->denied));
}

bool control_remotes_are_current(const struct control_app *a)
{
	const cox_strings *commits = &a->rendered.remotes;

	if (commits->n != a->remotes.n)
		return false;
	for (size_t i = 0; i < commits->n; i++)
		if (strcmp(commits->items[i], a->remotes.items[i]->commit) != 0)
			return false;
	return true;
}

void control_remotes_review(struct control_app *a)
{
	size_t n = 0;
	control_repos left = {0};

	COX_VEC_EACH (&a->remotes, repo)
		if (check(a, (*repo)->url, NULL) < 0)
			cox_vec_push(&left, *repo);
		else
			a->remotes.items[n++] = *repo;
	a->remotes.n = n;
	if (left.n || (a->denied && check(a, a->denied, NULL) == 0)) {
		a->rendered.valid = false;
		free(TAKE(a->denied));
	}
	control_app_leave_all(a, &left);
	cox_vec_fini(&left);
}
