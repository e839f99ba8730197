#include "tests/kubesim/audit.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct ks_audit {
	int fd;
};

int ks_audit_open(const char *path, struct ks_audit **ret_audit, struct cox_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return cox_error_sys(err, errno, "cannot open '%s'", path);
	*ret_audit = cox_new(struct ks_audit);
	(*ret_audit)->fd = fd;
	return 0;
}

void ks_audit_close(struct ks_audit *audit)
{
	if (!audit)
		return;
	close(audit->fd);
	free(audit);
}

static void put_member(struct cox_buf *line, const char *key, const char *value)
{
	cox_buf_printf(line, ",\"%s\":", key);
	cox_json_write_string(line, cox_str(value ? value : ""));
}

/* One write(2) a line: a reader never sees half of one, but at the very end. */
static void put_line(struct ks_audit *audit, struct cox_buf *line)
{
	cox_buf_puts(line, "}\n");
	(void)!write(audit->fd, line->ptr, line->len);
}

void ks_audit_change(struct ks_audit *audit, const char *verb, const struct cox_node *object)
{
	_cleanup_buf_ struct cox_buf line = COX_BUF_INIT;

	if (!audit)
		return;
	cox_buf_printf(&line, "{\"time\":%lld", (long long)cox_clock_wall_us());
	put_member(&line, "verb", verb);
	cox_buf_puts(&line, ",\"object\":");
	cox_json_write(&line, object);
	put_line(audit, &line);
}

void ks_audit_request(struct ks_audit *audit, const struct kubesim_request *request, int status)
{
	_cleanup_buf_ struct cox_buf line = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *body = NULL;

	if (!audit || cox_streq(request->method, "GET"))
		return;
	cox_buf_printf(&line, "{\"time\":%lld,\"status\":%d", (long long)cox_clock_wall_us(),
		       status);
	put_member(&line, "verb", "request");
	put_member(&line, "method", request->method);
	put_member(&line, "path", request->path);
	put_member(&line, "query", request->query);
	put_member(&line, "userAgent", request->user_agent);
	/* A server-side apply may be sent as YAML; what is neither is left out. */
	if (request->body.len && cox_yaml_read(request->body, "body", NULL, &body, NULL) == 0) {
		cox_buf_puts(&line, ",\"body\":");
		cox_json_write(&line, cox_doc_root(body));
	}
	put_line(audit, &line);
}
