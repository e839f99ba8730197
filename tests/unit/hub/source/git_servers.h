/* Git servers on loopback for tests: lighttpd with git-http-backend behind TLS, and sshd, both
 * started by the test, on ports that the kernel chose, with keys made for the occasion. A server
 * that cannot be started on this machine leaves its port 0, and its tests are skipped. */
#ifndef GIT_SERVERS_H
#define GIT_SERVERS_H

#include <sys/types.h>

struct servers {
	char dir[64]; /* all of it lives here */
	char *repos;  /* bare repositories, by name */
	char *https;  /* "https://127.0.0.1:PORT"; NULL when there is none */
	char *ca;     /* PEM that vouches for it */
	char *user, *password;
	char *ssh; /* "ssh://USER@127.0.0.1:PORT" */
	char *ssh_key, *other_key;
	char *known_hosts; /* right */
	pid_t https_pid, ssh_pid;
};

void servers_start(struct servers *s);
void servers_stop(struct servers *s);
/* Runs a command with sh inside of s->dir; the test fails when it does. Output is the caller's. */
char *run(const struct servers *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A port of loopback that was free a moment ago. */
int free_port(void);

#endif
