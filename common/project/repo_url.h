/* One spelling for what is the same repository: lower-case scheme and host, no user, no '/' or
 * ".git" at the end, scp-like "git@host:path" as ssh://host/path. Globs keep their special
 * characters. */
#ifndef COX_PROJECT_REPO_URL_H
#define COX_PROJECT_REPO_URL_H

/* The caller's. */
char *cox_repo_url_normal(const char *url);

#endif
