#include "hub/control/addresses.h"

#include "common/base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

/* https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-…: never a public server. */
static const char *const refused[] = {
	"0.0.0.0/8",
	"127.0.0.0/8",
	"169.254.0.0/16",
	"224.0.0.0/4",
	"240.0.0.0/4",
	"::/128",
	"::1/128",
	"fe80::/10",
	"ff00::/8",
	/* private ones: whoever has a Git server there says so */
	"10.0.0.0/8",
	"172.16.0.0/12",
	"192.168.0.0/16",
	"100.64.0.0/10",
	"fc00::/7",
};

static void map_v4(const void *four, uint8_t ret[16])
{
	memset(ret, 0, 10);
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, four, 4);
}

static int parse(const char *text, struct control_network *ret, struct cox_error *err)
{
	const char *slash = strchr(text, '/');
	char host[64] = "", *end = NULL;
	uint8_t four[4];
	unsigned most = 128, base = 0;
	unsigned long bits;

	if (slash ? (size_t)(slash - text) < sizeof(host) : strlen(text) < sizeof(host))
		memcpy(host, text, slash ? (size_t)(slash - text) : strlen(text));
	if (inet_pton(AF_INET, host, four) == 1) {
		map_v4(four, ret->address);
		most = 32;
		base = 96;
	} else if (inet_pton(AF_INET6, host, ret->address) != 1) {
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is no network like 10.0.0.0/8 or fd00::/8", text);
	}
	bits = slash ? strtoul(slash + 1, &end, 10) : most;
	if (slash && (*end || end == slash + 1 || bits > most))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s': the part after '/' is at most %u", text, most);
	ret->bits = base + (unsigned)bits;
	return 0;
}

static bool covers(const struct control_network *n, const uint8_t address[16])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (memcmp(n->address, address, whole) != 0)
		return false;
	return rest == 0 || (n->address[whole] & mask) == (address[whole] & mask);
}

int control_addresses_init(struct control_addresses *a, const cox_strings *cidrs,
			   struct cox_error *err)
{
	for (size_t i = 0; cidrs && i < cidrs->n; i++) {
		struct control_network n = {0};
		int r = parse(cidrs->items[i], &n, err);

		if (r < 0)
			return cox_error_wrap(err, "--allow-net");
		cox_vec_push(&a->allowed, n);
	}
	return 0;
}

void control_addresses_fini(struct control_addresses *a)
{
	cox_vec_fini(&a->allowed);
}

static bool bytes_of(const struct sockaddr *address, uint8_t ret[16])
{
	if (address->sa_family == AF_INET)
		map_v4(&((const struct sockaddr_in *)address)->sin_addr, ret);
	else if (address->sa_family == AF_INET6)
		memcpy(ret, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	else
		return false;
	return true;
}

bool control_addresses_are_allowed(const struct control_addresses *a,
				   const struct sockaddr *address)
{
	uint8_t bytes[16];

	if (!bytes_of(address, bytes))
		return false;
	for (size_t i = 0; i < a->allowed.n; i++)
		if (covers(&a->allowed.items[i], bytes))
			return true;
	return false;
}

int control_addresses_check(const struct control_addresses *a, const char *host,
			    const struct sockaddr *address, struct cox_error *err)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN] = "?";

	if (!bytes_of(address, bytes))
		return cox_error(err, COX_PERMISSION_DENIED, "'%s' has no internet address", host);
	if (control_addresses_are_allowed(a, address))
		return 0;
	for (size_t i = 0; i < COX_ARRAY_LEN(refused); i++) {
		struct control_network n = {0};

		if (parse(refused[i], &n, NULL) < 0 || !covers(&n, bytes))
			continue;
		inet_ntop(address->sa_family,
			  address->sa_family == AF_INET ? (const void *)(bytes + 12) : bytes, text,
			  sizeof(text));
		return cox_error(err, COX_PERMISSION_DENIED,
				 "'%s' has the address %s, which the hub does not connect to "
				 "unless --allow-net covers it",
				 host, text);
	}
	return 0;
}
