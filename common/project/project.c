#include "common/project/project.h"

#include "common/project/repo_url.h"
#include "common/text/glob.h"

#include <string.h>

int cox_project_init(struct cox_project *p, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	const struct cox_node *spec = COX_GET(root, "spec");

	if (!cox_node_is(spec, COX_MAP))
		return cox_node_error(err, doc, root, "spec: is required");
	*p = (struct cox_project){
		.doc = cox_doc_ref(doc),
		.name = cox_node_cstr(COX_GET(root, "metadata", "name"), ""),
		.spec = spec,
		.permit_only_scoped_clusters =
			cox_node_bool(COX_GET(spec, "permitOnlyProjectScopedClusters"), false),
	};
	return 0;
}

void cox_project_init_default(struct cox_project *p)
{
	*p = (struct cox_project){.name = "default"};
}

void cox_project_fini(struct cox_project *p)
{
	cox_doc_unref(p->doc);
	*p = (struct cox_project){0};
}

static const char *text_of(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

static bool matches(const char *pattern, char separator, const char *text)
{
	return cox_glob_matches(cox_str(pattern), separator, cox_str(text));
}

/* ---- sources ---- */

static bool source_matches(const char *pattern, const char *url)
{
	_cleanup_free_ char *p = cox_repo_url_normal(pattern), *u = cox_repo_url_normal(url);

	return strcmp(pattern, "*") == 0 || matches(p, '/', u);
}

int cox_project_check_source(const struct cox_project *p, const char *repo_url,
			     struct cox_error *err)
{
	const struct cox_node *repos = COX_GET(p->spec, "sourceRepos");
	bool permitted = !p->doc;

	for (size_t i = 0; i < cox_node_len(repos); i++) {
		const char *pattern = cox_node_cstr(cox_node_at(repos, i), "");

		if (pattern[0] == '!' && source_matches(pattern + 1, repo_url))
			return cox_error(
				err, COX_PERMISSION_DENIED,
				"project '%s' denies the repository '%s' (sourceRepos[%zu])",
				p->name, repo_url, i);
		if (pattern[0] != '!' && source_matches(pattern, repo_url))
			permitted = true;
	}
	if (!permitted)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "project '%s' does not permit the repository '%s': add it to its "
				 "sourceRepos",
				 p->name, repo_url);
	return 0;
}

/* ---- destinations ---- */

static bool is_denial(const struct cox_node *entry)
{
	return text_of(entry, "server")[0] == '!' || text_of(entry, "namespace")[0] == '!' ||
	       text_of(entry, "name")[0] == '!';
}

/* A pattern of an entry, without the '!' that makes it a denial. */
static bool part_matches(const struct cox_node *entry, const char *key, const char *text)
{
	const char *pattern = text_of(entry, key);

	return matches(pattern + (pattern[0] == '!'), 0, text);
}

static bool cluster_matches(const struct cox_node *entry, const char *server, const char *name)
{
	if (*server && *text_of(entry, "server") && part_matches(entry, "server", server))
		return true;
	return *name && *text_of(entry, "name") && part_matches(entry, "name", name);
}

/* A denial of one part holds for whatever the others permit: with '!' on the namespace the cluster
 * must match too, and the other way round. */
static bool entry_matches(const struct cox_node *entry, const char *server, const char *name,
			  const char *namespace)
{
	return cluster_matches(entry, server, name) && part_matches(entry, "namespace", namespace);
}

int cox_project_check_destination(const struct cox_project *p, const char *server, const char *name,
				  const char *namespace, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(p->spec, "destinations");
	const char *cluster = *name ? name : server;
	bool permitted = !p->doc;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *entry = cox_node_at(list, i);

		if (!entry_matches(entry, server, name, namespace))
			continue;
		if (is_denial(entry))
			return cox_error(err, COX_PERMISSION_DENIED,
					 "project '%s' denies namespace '%s' of cluster '%s' "
					 "(destinations[%zu])",
					 p->name, namespace, cluster, i);
		permitted = true;
	}
	if (!permitted)
		return cox_error(
			err, COX_PERMISSION_DENIED,
			"project '%s' does not permit namespace '%s' of cluster '%s': add it "
			"to its destinations",
			p->name, namespace, cluster);
	return 0;
}

/* ---- kinds ---- */

static bool is_listed(const struct cox_node *list, const char *group, const char *kind,
		      const char *name)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *e = cox_node_at(list, i);

		if (matches(text_of(e, "group"), 0, group) &&
		    matches(text_of(e, "kind"), 0, kind) &&
		    (!*text_of(e, "name") || matches(text_of(e, "name"), 0, name)))
			return true;
	}
	return false;
}

int cox_project_check_kind(const struct cox_project *p, const char *group, const char *kind,
			   const char *name, bool namespaced, struct cox_error *err)
{
	const char *prefix = namespaced ? "namespaceResource" : "clusterResource";
	const struct cox_node *white = COX_GET(p->spec, namespaced ? "namespaceResourceWhitelist"
								   : "clusterResourceWhitelist");
	const struct cox_node *black = COX_GET(p->spec, namespaced ? "namespaceResourceBlacklist"
								   : "clusterResourceBlacklist");
	/* no list at all permits every namespaced kind, and no cluster-scoped one */
	bool permitted = !p->doc || (namespaced && !cox_node_is(white, COX_LIST)) ||
			 is_listed(white, group, kind, name);

	if (permitted && !is_listed(black, group, kind, name))
		return 0;
	return cox_error(err, COX_PERMISSION_DENIED,
			 "project '%s' does not permit kind '%s' of group '%s': see its %s%s",
			 p->name, kind, group, prefix, permitted ? "Blacklist" : "Whitelist");
}

/* ---- the Application's own namespace ---- */

int cox_project_check_app_namespace(const struct cox_project *p, const char *app_namespace,
				    const char *home, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(p->spec, "sourceNamespaces");

	if (strcmp(app_namespace, home) == 0)
		return 0;
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (matches(cox_node_cstr(cox_node_at(list, i), ""), 0, app_namespace))
			return 0;
	return cox_error(
		err, COX_PERMISSION_DENIED,
		"project '%s' does not permit Applications in namespace '%s': add it to its "
		"sourceNamespaces",
		p->name, app_namespace);
}
