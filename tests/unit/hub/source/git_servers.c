#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/crypto/pki.h"
#include "git_servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

char *run(const struct servers *s, const char *format, ...)
{
	struct cox_buf command = COX_BUF_INIT, out = COX_BUF_INIT;
	char part[4096];
	va_list args;
	FILE *pipe;
	size_t n;

	cox_buf_printf(&command,
		       "exec 2>&1; cd %s && set -e; export HOME=%s GIT_CONFIG_NOSYSTEM=1 "
		       "GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@x "
		       "GIT_COMMITTER_NAME=Ann GIT_COMMITTER_EMAIL=ann@x; ",
		       s->dir, s->dir);
	va_start(args, format);
	cox_buf_vprintf(&command, format, args);
	va_end(args);
	pipe = popen(cox_buf_cstr(&command), "r");
	assert_non_null(pipe);
	while ((n = fread(part, 1, sizeof(part), pipe)) > 0)
		cox_buf_add(&out, part, n);
	if (pclose(pipe) != 0)
		fail_msg("%s: %s", cox_buf_cstr(&command), cox_buf_cstr(&out));
	cox_buf_fini(&command);
	while (out.len && out.ptr[out.len - 1] == '\n')
		out.ptr[--out.len] = '\0';
	return cox_buf_take(&out);
}

int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static bool answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool fine = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return fine;
}

/* True as soon as the port answers; false when the process ends, or after 20 s. */
static bool wait_for(pid_t *pid, int port)
{
	int64_t end_ms = cox_clock_ms() + 20000;

	while (cox_clock_ms() < end_ms) {
		if (answers(port))
			return true;
		if (waitpid(*pid, NULL, WNOHANG) == *pid) {
			*pid = 0;
			return false;
		}
		poll(NULL, 0, 10);
	}
	return false;
}

static pid_t spawn(const char *const argv[], const char *log)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = 0;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) != 0)
		pid = 0;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void put_file(const struct servers *s, const char *name, const char *content, mode_t mode)
{
	_cleanup_free_ char *path = cox_path_join(s->dir, name);

	assert_int_equal(cox_file_write(path, cox_str(content), mode, NULL), 0);
}

static char *get_file(const struct servers *s, const char *name)
{
	_cleanup_free_ char *path = cox_path_join(s->dir, name);
	struct cox_buf text = COX_BUF_INIT;

	assert_int_equal(cox_file_read(path, 1 << 20, &text, NULL), 0);
	return cox_buf_take(&text);
}

/* An authority and a certificate, as a company would have them inside. */
static void make_certificate(struct servers *s)
{
	static const char *const names[] = {"127.0.0.1", "localhost"};
	COX_CLEANUP(cox_key_free_p) struct cox_key *ca_key = NULL, *key = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *ca = NULL, *cert = NULL;
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT, ca_pem = COX_BUF_INIT;
	struct cox_issuer issuer = {.now_ms = cox_clock_wall_ms(), .lifetime_ms = 3600000};

	assert_int_equal(cox_ca_create(COX_CA_HUB, "test", issuer.now_ms, &ca_key, &ca, NULL), 0);
	assert_int_equal(cox_key_generate(&key, NULL), 0);
	issuer.ca = ca;
	issuer.key = ca_key;
	assert_int_equal(cox_issue_server(&issuer, key, names, 2, &cert, NULL), 0);
	cox_cert_to_pem(cert, &pem);
	cox_key_to_pem(key, &pem);
	put_file(s, "https.pem", cox_buf_cstr(&pem), 0600);
	cox_cert_to_pem(ca, &ca_pem);
	s->ca = cox_buf_take(&ca_pem);
}

static void start_https(struct servers *s)
{
	_cleanup_free_ char *conf = NULL, *conf_path = cox_path_join(s->dir, "lighttpd.conf");
	_cleanup_free_ char *log = cox_path_join(s->dir, "lighttpd.log");
	const char *const argv[] = {"/usr/sbin/lighttpd", "-D", "-f", conf_path, NULL};
	int port = free_port();

	make_certificate(s);
	s->user = cox_strdup("ann");
	s->password = cox_strdup("canary-password-8731");
	conf = cox_asprintf("ann:%s\n", s->password);
	put_file(s, "users", conf, 0600);
	free(conf);
	conf = cox_asprintf(
		"server.document-root = \"%1$s\"\n"
		"server.bind = \"127.0.0.1\"\n"
		"server.port = %2$d\n"
		"server.modules = (\"mod_openssl\", \"mod_auth\", \"mod_authn_file\", "
		"\"mod_alias\","
		" \"mod_redirect\", \"mod_setenv\", \"mod_cgi\")\n"
		"ssl.engine = \"enable\"\n"
		"ssl.pemfile = \"%1$s/https.pem\"\n"
		"auth.backend = \"plain\"\n"
		"auth.backend.plain.userfile = \"%1$s/users\"\n"
		"$HTTP[\"url\"] =~ \"^/private/\" {\n"
		"  auth.require = (\"\" => (\"method\" => \"basic\", \"realm\" => \"git\","
		" \"require\" => \"valid-user\"))\n"
		"}\n"
		"url.redirect = (\"^/moved/(.*)$\" => \"/public/$1\","
		" \"^/elsewhere/(.*)$\" => \"https://localhost:%2$d/public/$1\","
		" \"^/downgraded/(.*)$\" => \"http://127.0.0.1:%2$d/public/$1\")\n"
		"alias.url = (\"/public\" => \"/usr/lib/git-core/git-http-backend\","
		" \"/private\" => \"/usr/lib/git-core/git-http-backend\")\n"
		"setenv.set-environment = (\"GIT_PROJECT_ROOT\" => \"%3$s\","
		" \"GIT_HTTP_EXPORT_ALL\" => \"\")\n"
		"cgi.assign = (\"/git-http-backend\" => \"\")\n",
		s->dir, port, s->repos);
	put_file(s, "lighttpd.conf", conf, 0600);
	s->https_pid = spawn(argv, log);
	if (s->https_pid && wait_for(&s->https_pid, port))
		s->https = cox_asprintf("https://127.0.0.1:%d", port);
}

static void start_ssh(struct servers *s)
{
	_cleanup_free_ char *conf = NULL, *host_key = NULL, *known = NULL;
	_cleanup_free_ char *conf_path = cox_path_join(s->dir, "sshd.conf");
	_cleanup_free_ char *log = cox_path_join(s->dir, "sshd.log");
	const char *const argv[] = {"/usr/sbin/sshd", "-D", "-e", "-f", conf_path, NULL};
	struct passwd *me = getpwuid(getuid());
	int port = free_port();

	if (access(argv[0], X_OK) < 0 || !me)
		return;
	/* sshd wants its folder when root starts it. */
	if (getuid() == 0)
		mkdir("/run/sshd", 0755);
	free(run(s,
		 "ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f user;"
		 "ssh-keygen -q -t ed25519 -N '' -f other; cp user.pub authorized; "
		 "chmod 600 authorized"));
	conf = cox_asprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s/host\n"
			    "AuthorizedKeysFile %s/authorized\nPidFile none\nUsePAM no\n"
			    "StrictModes no\nPasswordAuthentication no\n"
			    "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
			    port, s->dir, s->dir);
	put_file(s, "sshd.conf", conf, 0600);
	s->ssh_pid = spawn(argv, log);
	if (!s->ssh_pid || !wait_for(&s->ssh_pid, port))
		return;
	s->ssh = cox_asprintf("ssh://%s@127.0.0.1:%d", me->pw_name, port);
	s->ssh_key = get_file(s, "user");
	s->other_key = get_file(s, "other");
	host_key = get_file(s, "host.pub");
	s->known_hosts = cox_asprintf("[127.0.0.1]:%d %s", port, host_key);
}

void servers_start(struct servers *s)
{
	*s = (struct servers){0};
	strcpy(s->dir, "/tmp/cox-git-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->repos = cox_path_join(s->dir, "repos");
	assert_int_equal(cox_dir_make(s->repos, 0755, NULL), 0);
	start_https(s);
	start_ssh(s);
}

static void stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

void servers_stop(struct servers *s)
{
	_cleanup_free_ char *remove = cox_asprintf("rm -rf %s", s->dir);

	stop(s->https_pid);
	stop(s->ssh_pid);
	if (system(remove) != 0)
		print_message("cannot remove %s\n", s->dir);
	free(s->repos);
	free(s->https);
	free(s->ca);
	free(s->user);
	free(s->password);
	free(s->ssh);
	free(s->ssh_key);
	free(s->other_key);
	free(s->known_hosts);
}
