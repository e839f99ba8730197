/* Every size from outside has a limit at birth: its name, its default. Those that a flag can change
 * say which; each has a test at n-1, n and n+1 in the room that enforces it. */
#ifndef COX_BASE_LIMITS_H
#define COX_BASE_LIMITS_H

/* Documents (common/doc) */
#define COX_LIMIT_YAML_DEPTH	   64
#define COX_LIMIT_JSON_DEPTH	   128
#define COX_LIMIT_DOC_NODES	   200000
#define COX_LIMIT_YAML_ALIASES	   100
#define COX_LIMIT_YAML_ALIAS_BYTES (5 << 20) /* text that aliases add to a document */
#define COX_LIMIT_SCALAR_BYTES	   (1 << 20)
#define COX_LIMIT_FILE_BYTES	   (5 << 20)
#define COX_LIMIT_DOC_ARENA_BYTES  (256 << 20)
#define COX_LIMIT_DOC_TEXT_BYTES   (64 << 20)
/* One application (hub/render) */
#define COX_LIMIT_APP_BYTES    (10 << 20)
#define COX_LIMIT_BUNDLE_BYTES (16 << 20) /* canonical JSON of one application */
#define COX_LIMIT_APP_DOCS     2000
#define COX_LIMIT_APP_OBJECTS  5000
#define COX_LIMIT_OBJECT_BYTES (1 << 20)
/* Generators (hub/generate) */
#define COX_LIMIT_APPSET_APPS 1000
/* An agent: finished operations kept for each application */
#define COX_LIMIT_AGENT_OPERATIONS 20
/* Selectors (common/kube) */
#define COX_LIMIT_SELECTOR_BYTES (64 << 10)
/* Regular expressions (common/text) */
#define COX_LIMIT_REGEX_BYTES 256
/* The wire (common/net/rpc) */
#define COX_LIMIT_MESSAGE_BYTES (4 << 20)
#define COX_LIMIT_DECODE_BYTES	(64 << 20)
#define COX_LIMIT_REPEATED	10000
/* HTTP servers (common/net/http_server) */
#define COX_LIMIT_HTTP_HEADER_BYTES (16 << 10)
#define COX_LIMIT_HTTP_BODY_BYTES   (5 << 20)

#endif
