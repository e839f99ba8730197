#include "hub/cli/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define OTHER_COLUMNS 100 /* of what is no terminal */
#define MAX_COLUMNS   10000

static struct {
	bool entered, keys;
	struct termios before;
} screen;

bool cli_screen_is_usable(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

bool cli_screen_is_unicode(void)
{
	/* for LC_CTYPE alone: numbers stay as the C locale writes them */
	setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void cli_screen_size(size_t *ret_columns, size_t *ret_lines)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long n = columns ? strtol(columns, NULL, 10) : 0;

	*ret_columns = n > 0 && n <= MAX_COLUMNS ? (size_t)n : OTHER_COLUMNS;
	*ret_lines = 0;
	if (!isatty(STDOUT_FILENO))
		return;
	*ret_columns = 80;
	*ret_lines = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col > 0)
		*ret_columns = size.ws_col;
	if (size.ws_row > 0)
		*ret_lines = size.ws_row;
}

static void write_all(struct cox_str text)
{
	while (text.len > 0) {
		ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text.ptr += n;
		text.len -= (size_t)n;
	}
}

/* In the background a change of the terminal would stop the process. */
static bool has_keys(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp() &&
	       tcgetattr(STDIN_FILENO, &screen.before) == 0;
}

void cli_screen_enter(void)
{
	struct termios quiet;

	if (screen.entered)
		return;
	screen.entered = true;
	screen.keys = has_keys();
	if (screen.keys) {
		quiet = screen.before;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
	}
	write_all(COX_STR("\033[?1049h\033[?25l\033[2J"));
}

void cli_screen_leave(void)
{
	if (!screen.entered)
		return;
	screen.entered = false;
	write_all(COX_STR("\033[?25h\033[?1049l"));
	if (screen.keys) {
		tcflush(STDIN_FILENO, TCIFLUSH);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
	}
}

void cli_screen_show(struct cox_str picture, size_t lines)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct cox_str line;
	size_t n = 0;

	cox_buf_puts(&out, "\033[H");
	while (cox_str_split(&picture, '\n', &line) && picture.ptr) {
		/* The line is cleared before it is written: behind its last column the cursor still
		 * stands on it. */
		cox_buf_puts(&out, n++ ? "\r\n\033[K" : "\033[K");
		cox_buf_puts_str(&out, line);
	}
	if (n < lines)
		cox_buf_puts(&out, n ? "\r\n\033[J" : "\033[J");
	write_all(cox_buf_str(&out));
}
