/*
 * libchat: durable chat for agents on NATS JetStream.
 *
 *     libchat_conn conn = 0;
 *     libchat_manager ana = 0;
 *     libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
 *     libchat_receipt receipt;
 *     libchat_error *err = NULL;
 *     options.project = "shop";
 *     options.agent_id = "ana";
 *     if (libchat_connect(NULL, &conn, &err) == LIBCHAT_OK &&
 *         libchat_open(conn, &options, &ana, &err) == LIBCHAT_OK &&
 *         libchat_send(ana, "plan", (libchat_bytes){(const uint8_t *)"hello", 5}, NULL,
 *                      &receipt, &err) == LIBCHAT_OK)
 *         printf("stored as %s\n", receipt.id);
 *     else
 *         fprintf(stderr, "%s\n", libchat_error_message(err));
 *     libchat_error_free(err);
 *     libchat_conn_close(conn, 2000, NULL);
 *
 * A connection has managers: one agent in one project each, with all verbs. Agents talk in named
 * threads. What is sent is stored before libchat_send returns; who was away reads on from a cursor.
 *
 * Conventions, true of every function
 *
 * Handles are integers. 0 is none. A handle that was closed, by itself or with what it belongs to,
 * answers CLOSED; one of another kind or never issued INVALID_HANDLE. Closing 0 or a closed handle
 * is OK. Messages, lists, answers and errors are pointers to what never changes.
 *
 * Arguments. Names are UTF-8 and NUL-terminated, bodies and payloads have a length. All of it is
 * copied before the function returns. Option structs begin with LIBCHAT_INIT; NULL, 0 and whatever
 * you leave out are the defaults. A shorter struct, of an older header, is read as far as it goes,
 * a longer one if what this library does not know is 0; else UNSUPPORTED.
 *
 * Results. `*out` is 0 or NULL after a failure, but for the id of a receipt. `*err` is always
 * written, if `err` is not NULL: NULL, or an error to be freed. Lists of failures name what is
 * special: CLOSED, DISCONNECTED, UNAUTHORIZED and SERVER may come of all that asks the server.
 *
 * Times are in milliseconds: 0 in options is the default, as an argument it is not to wait.
 * LIBCHAT_INFINITE is without end. Moments are in Unix nanoseconds.
 *
 * Threads. Every function may be called from any thread at any time. Callbacks run on threads of
 * libchat, never inside the call that registered them, and without a lock of libchat; but one may
 * run before that call has returned. Those of one watch, one responder, or the sends of one manager
 * run one after the other; others run beside them, on up to `dispatch_threads` threads, so that a
 * callback may block, and may call everything here, also what waits. Only waiting for one's own end
 * is refused (WOULD_DEADLOCK); close functions do not wait there. A callback must not throw,
 * longjmp or end its thread.
 *
 * The end. After stop has returned no callback begins; one begun already, perhaps only just,
 * finishes. `on_done` comes once, when nothing else will: free `user_data` there, and only there.
 * Closing a manager or a connection ends all it has and waits for each on_done and on_sent.
 *
 * Signals and processes. Threads of libchat have all signals blocked; it installs no handler and
 * nothing to run at exit. A program may end without closing: what was not confirmed may be lost, no
 * more. A forked child may use libchat if its parent had opened nothing before; else whatever needs
 * a handle answers FORKED. Nothing here may be called in a signal handler. The library stays loaded
 * once it is (dlclose does not unload it). Link one Rust library statically at most.
 */
#ifndef LIBCHAT_H
#define LIBCHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBCHAT_VERSION_MAJOR 0
#define LIBCHAT_VERSION_MINOR 1
#define LIBCHAT_VERSION_PATCH 0

/* Moves only when a program that was compiled before could break. */
#define LIBCHAT_ABI 1u

/* A wait without an end, wherever a time in milliseconds is asked for. */
#define LIBCHAT_INFINITE 0xFFFFFFFFu

/* The value to begin an option struct with: libchat_send_options options =
 * LIBCHAT_INIT(libchat_send_options); */
#ifdef __cplusplus
template <class T> inline T libchat_init() {
    T options = T();
    options.struct_size = sizeof options;
    return options;
}
#define LIBCHAT_INIT(T) libchat_init<T>()
extern "C" {
#else
#define LIBCHAT_INIT(T) { .struct_size = sizeof(T) }
#endif

/*
 * What functions answer
 *
 * A status of 100 or more is a failure; treat one that you do not know so, too. No number is ever
 * reused. Of a send that failed the message is not stored, but for two: OUTCOME_UNKNOWN, when the
 * server's answer did not come (with the same id, from the receipt or libchat_error_id, it can be
 * sent again: the server drops the copy), and PANIC, after which the object is of no more use. A
 * connection that was made reconnects by itself after DISCONNECTED.
 */

/* What a function answers. */
typedef int32_t libchat_status;
#define LIBCHAT_OK 0                       /* Done. */
#define LIBCHAT_END 1                      /* No failure: nothing will ever follow. */
#define LIBCHAT_EMPTY 2                    /* No failure: nothing came in time. */
#define LIBCHAT_ERR_INVALID_ARGUMENT 100 /* Fix the call: an argument or option breaks its rule. */
#define LIBCHAT_ERR_INVALID_HANDLE 101     /* Fix the call: of another kind, or never issued. */
#define LIBCHAT_ERR_INVALID_STATE 102      /* Fix the order of calls: it does not fit the last. */
#define LIBCHAT_ERR_WOULD_DEADLOCK 103 /* Call it on a thread of yours: it waits for this one. */
#define LIBCHAT_ERR_FORKED 104             /* Call exec, or open nothing before a fork. */
#define LIBCHAT_ERR_UNSUPPORTED 105        /* Leave the option out: this library knows it not. */
#define LIBCHAT_ERR_BUSY 106               /* Try after a completion: nothing was taken. */
#define LIBCHAT_ERR_SYSTEM 107             /* Look at the machine: it refused a file or thread. */
#define LIBCHAT_ERR_TIMEOUT 200            /* Try again: of a send, nothing was sent. */
#define LIBCHAT_ERR_DISCONNECTED 201       /* Try again, or check the address: no server. */
#define LIBCHAT_ERR_CLOSED 202             /* Open a new one: this was closed. */
#define LIBCHAT_ERR_UNAUTHORIZED 203       /* Ask the operator for the right it names. */
#define LIBCHAT_ERR_NO_RESPONDERS 204      /* Try later: nobody listens there. */
#define LIBCHAT_ERR_OUTCOME_UNKNOWN 205    /* Send again with the same id: it may be stored. */
#define LIBCHAT_ERR_REMOTE 206             /* See remote_code: the handler failed, and said so. */
#define LIBCHAT_ERR_CANCELLED 207          /* You cancelled it; nothing was stored. */
#define LIBCHAT_ERR_NOT_FOUND 300          /* Check the name: no such stream or message. */
#define LIBCHAT_ERR_CONFLICT 301           /* Look at what is there: it is not what was expected. */
#define LIBCHAT_ERR_TOO_LARGE 302          /* Send less: the limit of the server is smaller. */
#define LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS 303 /* Close watches, or open with max_subscribers. */
#define LIBCHAT_ERR_SERVER 304             /* Read the message: any other answer of the server. */
#define LIBCHAT_ERR_PANIC 900              /* Report it: a bug in libchat. */

/* The name of a status, as "OUTCOME_UNKNOWN"; "?" for one that this library does not know. It
 * lives for ever. */
const char *libchat_status_name(libchat_status status);

/*
 * Version
 */

/* Whether the library that is loaded fits the header you compiled with: pass LIBCHAT_ABI. */
bool libchat_abi_compatible(uint32_t header_abi);

/* The version of the library that is loaded, as "0.1.0". It lives for ever. */
const char *libchat_version(void);

/*
 * Text, bytes and header fields
 */

/* Bytes that have a length. What the library hands out is followed by a NUL, which `len` does not
 * count, and its `data` is never NULL; but text that others wrote may hold a NUL of its own. */
typedef struct libchat_bytes {
    const uint8_t *data;             /* May be NULL in what you hand in, if `len` is 0. */
    size_t len;                      /* How many. */
} libchat_bytes;

/* One header field of a message or a request, as "traceparent". */
typedef struct libchat_header {
    const char *name;                /* No space, no colon; "Nats-…" are the server's. */
    const char *value;               /* UTF-8 without line breaks. */
} libchat_header;

/*
 * Errors
 *
 * Every function that can fail for more than one reason has a last argument `err`. It may be NULL;
 * else it is always written: NULL, or an error that is yours to free. The functions here take NULL
 * and answer as if there were nothing to say. What they return lives as long as the error.
 */

/* Why a call failed. */
typedef struct libchat_error libchat_error;

/* The status that the function answered, or LIBCHAT_OK. */
libchat_status libchat_error_code(const libchat_error *error);

/* What was tried, on what, and why it failed: one line, for people. It holds no message body and
 * no secret. */
const char *libchat_error_message(const libchat_error *error);

/* What to do about it, or "". */
const char *libchat_error_hint(const libchat_error *error);

/* The id of the message that a failed send was about, to send it again with; or "". */
const char *libchat_error_id(const libchat_error *error);

/* LIBCHAT_ERR_REMOTE: the code that the handler gave (libchat_request_fail); else "". */
const char *libchat_error_remote_code(const libchat_error *error);

/* The err_code of the server's answer, as NATS documents them for JetStream; or 0. */
uint32_t libchat_error_server_code(const libchat_error *error);

/* Whether the same call may succeed later, and repeating it can do no harm: OUTCOME_UNKNOWN only
 * if you gave the id, since a repeated call would otherwise draw a fresh one. */
bool libchat_error_is_retryable(const libchat_error *error);

/* Frees an error. Those that a callback is given are not yours: the library frees them. */
void libchat_error_free(libchat_error *error);

/*
 * Log
 */

/* Takes one line of the log. `level` is 1 for errors, 2 for warnings, 3 for what is worth knowing,
 * 4 and 5 for whoever looks for a fault; `target` says which part of libchat speaks. Both texts
 * end with the call. It runs on any thread, perhaps under a lock of libchat: it must return soon,
 * and every function that has a status answers WOULD_DEADLOCK in it. */
typedef void (*libchat_log_fn)(int32_t level, const char *target, libchat_bytes text,
    void *user_data);

/* Has the log written by `log`, up to `level_max` (1 to 5); NULL ends it, as it is at the start.
 * For the whole process. When it returns, the function set before runs no more. */
libchat_status libchat_set_log(libchat_log_fn log, void *user_data, int32_t level_max);

/*
 * Cancel tokens
 *
 * A token in the options of a call ends that call when it is fired, from any thread: the call
 * answers CANCELLED, a send that was written already OUTCOME_UNKNOWN. One token may be given to
 * any number of calls; it stays fired.
 */

/* A cancel token; 0 in options is none. */
typedef uint64_t libchat_cancel;

/* Makes a token. */
libchat_status libchat_cancel_new(libchat_cancel *out, libchat_error **err);

/* Ends every call that was given this token, and those that will be. */
libchat_status libchat_cancel_fire(libchat_cancel cancel);

/* Gives a token back; calls that have it go on. */
libchat_status libchat_cancel_close(libchat_cancel cancel);

/*
 * Local server
 *
 * An official nats-server that belongs to one folder: loopback only, with a random password, its
 * messages in `.libchat/store`. It goes on running when your program ends, and any program in the
 * folder or below finds it without options. It is found as `libchat up` finds it: in
 * LIBCHAT_NATS_SERVER, in PATH, beside your program, in a Python environment.
 */

/* Starts the server of `folder`, or finds the one that runs.
 *
 * `url`  gets its address with user and password, for libchat_conn_options.servers; may be NULL
 *        with a `url_size` of 0. 256 bytes are enough.
 *
 * Fails with
 *   NOT_FOUND  there is no nats-server program; the hint says how to get one
 *   CONFLICT   the folder names a server that libchat did not start
 *   TIMEOUT    it is not ready yet; call again to go on waiting
 *   SYSTEM     the folder cannot be written, or the program not be started
 *
 * Blocks up to 5 s in most cases. */
libchat_status libchat_local_server_start(const char *folder, char *url, size_t url_size,
    libchat_error **err);

/* Stops the server of `folder`. Its messages stay, and so do port and password for the next start.
 * OK too when none runs. Blocks until it has ended; after 5 s it is killed. */
libchat_status libchat_local_server_stop(const char *folder, libchat_error **err);

/*
 * Connection
 */

/* A connection to a NATS server, with threads of its own; for any number of managers. It
 * reconnects by itself. */
typedef uint64_t libchat_conn;
#define LIBCHAT_TLS_REQUIRED 1             /* Refuse a server that does not offer TLS. */
#define LIBCHAT_TLS_FIRST 2                /* Begin TLS before the server speaks, as it must too. */

/* How to reach and enter a server. All NULL and 0: it is looked for as libchat_connect says. */
typedef struct libchat_conn_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    const char *servers;             /* One or several with commas: "nats://host:4222". */
    const char *context;             /* A context of the `nats` program, by name. */
    const char *name; /* This connection's name in the server's lists; "libchat" by default. */
    const char *creds_file;          /* File with user JWT and seed. */
    const char *nkey_file;           /* File with an nkey seed. */
    const char *user;                /* User name, with `password`. */
    const char *password;            /* Password of `user`. */
    const char *token;               /* Token. */
    const char *tls_ca_file;         /* PEM file of authorities to trust instead of the system's. */
    const char *tls_cert_file; /* PEM file of this client's certificate, with `tls_key_file`. */
    const char *tls_key_file;        /* PEM file of the certificate's key. */
    const char *js_domain;           /* JetStream domain, when the stream is behind a leaf node. */
    const char *inbox_prefix;        /* First part of reply subjects; "_INBOX" by default. */
    libchat_cancel cancel;           /* Ends the connecting. */
    uint64_t buffer_bytes;           /* Bound on what all watches hold, in bytes; 0 is 64 MiB. */
    uint32_t timeout_ms;             /* How long connecting may take; 0 is 5000. */
    uint32_t dispatch_threads;       /* Threads for callbacks, started as needed; 0 is 16. */
    uint32_t flags;                  /* LIBCHAT_TLS_REQUIRED, LIBCHAT_TLS_FIRST. */
    uint32_t reserved0;              /* 0. */
} libchat_conn_options;

/* Connects.
 *
 * `options`  NULL for the defaults.
 *
 * With no address given it looks, in this order, at LIBCHAT_URL, NATS_URL, the nearest
 * `.libchat/hub.json` upward from the current folder (as `libchat up` writes it), the nearest
 * `.bones/hub-nats-url` upward, the selected context of the `nats` program, and
 * nats://127.0.0.1:4222.
 *
 * Fails with
 *   DISCONNECTED      nobody answers in time; the message lists every place looked at
 *   UNAUTHORIZED      the server refuses the credentials
 *   INVALID_ARGUMENT  an address or a file cannot be read
 *   NOT_FOUND         there is no such context
 *   SYSTEM            no thread can be started */
libchat_status libchat_connect(const libchat_conn_options *options, libchat_conn *out,
    libchat_error **err);

/* Begins to close, which frees all by itself, and returns: for callbacks, and for whoever must not
 * wait. libchat_conn_close waits for the end. */
libchat_status libchat_conn_stop(libchat_conn conn, libchat_error **err);

/* Closes: ends every manager with all it has, waits for every on_done and on_sent, and for every
 * thread of the connection; after OK none of its code runs. What was sent and not confirmed has an
 * unknown outcome. Closing first what belongs to it is never needed.
 *
 * Fails with TIMEOUT after `timeout_ms`: it goes on by itself, and may be called again. On a
 * thread of libchat, as in a callback, it only begins and returns OK. 0 and a closed handle: OK. */
libchat_status libchat_conn_close(libchat_conn conn, uint32_t timeout_ms, libchat_error **err);

/*
 * Manager: one agent in one project
 */

/* One agent in one project, with all verbs. */
typedef uint64_t libchat_manager;
#define LIBCHAT_BIND_ONLY 1                /* The stream must exist already: else NOT_FOUND. */
#define LIBCHAT_SET_RETENTION 2            /* Apply `max_retention_age_ns`, to an old stream too. */

/* Who opens what. */
typedef struct libchat_manager_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    const char *agent_id;            /* Must be given; up to 256 bytes. */
    const char *project; /* Must be given; no "." "*" ">" "/" "\" space, no "$" first. */
    libchat_cancel cancel;           /* Ends the opening. */
    /* With LIBCHAT_SET_RETENTION: how long the server keeps messages, at least 100 ms; 0 is for
     * ever. Without it 0: a stream is left as it is, and a new one keeps messages for ever. */
    int64_t max_retention_age_ns;
    uint32_t max_subscribers;        /* How many watches may be live at once; 0 is 1024. */
    uint32_t timeout_ms;             /* How long opening may take; 0 is 10000. */
    uint32_t flags;                  /* LIBCHAT_BIND_ONLY, LIBCHAT_SET_RETENTION. */
    uint32_t reserved0;              /* 0. */
} libchat_manager_options;

/* Opens a project as an agent, making the project's stream if there is none. Of a stream that
 * exists nothing is changed, but for LIBCHAT_SET_RETENTION. Rights to bind only, to send only or
 * to read only are enough for what they allow.
 *
 * Fails with
 *   CONFLICT   the stream's settings would break what libchat promises; the message names them
 *   NOT_FOUND  there is no stream, and LIBCHAT_BIND_ONLY is set
 *   SERVER     JetStream is off */
libchat_status libchat_open(libchat_conn conn, const libchat_manager_options *options,
    libchat_manager *out, libchat_error **err);

/* Closes: ends every watch and responder and every send, and waits for each on_done and on_sent,
 * and until libchat_sent_take has taken what is kept for it. Its consumers on the server are
 * deleted. The connection stays.
 *
 * Fails with TIMEOUT after `timeout_ms`: it goes on by itself, and may be called again. On a
 * thread of libchat, as in a callback, it only begins and returns OK. 0 and a closed handle: OK. */
libchat_status libchat_manager_close(libchat_manager manager, uint32_t timeout_ms,
    libchat_error **err);

/* Writes the thread's short into `out`, which must have room for 9 characters: the 8 hex digits
 * that address it on the wire. Asks no server. */
libchat_status libchat_thread_short(const char *project, const char *thread, char *out,
    libchat_error **err);

/*
 * Messages and cursors
 *
 * Messages never change, and need no handle: one that you retain outlives its watch, its manager
 * and its connection. All functions here may run on several threads at once. They take NULL and
 * answer with nothing: an empty text, 0, NULL. What they return lives as long as the message.
 */

#define LIBCHAT_ID_MAX 64 /* The longest id; none empty, with controls or outer spaces. */
#define LIBCHAT_CURSOR_SIZE 64             /* A buffer of this size holds any cursor's text. */

/* A place in one project's stream: save it, as text, and go on from it in any process. All zero is
 * none. Cursors are in order by `seq` if they have the same `incarnation`. */
typedef struct libchat_cursor {
    uint64_t incarnation;            /* The stream's creation time, in Unix nanoseconds. */
    uint64_t seq;                    /* The message's number in the stream. */
    uint32_t check;                  /* A mark, to notice a restored stream; 0 is unknown. */
    uint32_t reserved0;              /* 0. */
} libchat_cursor;

/* A stored message. */
typedef struct libchat_message libchat_message;

/* The id its sender gave it. */
libchat_bytes libchat_message_id(const libchat_message *message);

/* Who wrote it, as the sender says; nothing proves it. */
libchat_bytes libchat_message_sender(const libchat_message *message);

/* The thread's name; empty if the sender did not store it, or it is not the short's. */
libchat_bytes libchat_message_thread(const libchat_message *message);

/* The thread's 8 hex digits, by which it can be addressed too (LIBCHAT_BY_SHORT). */
const char *libchat_message_short(const libchat_message *message);

/* The id of the message that this one answers, or empty. */
libchat_bytes libchat_message_reply_to(const libchat_message *message);

/* The text: UTF-8. */
libchat_bytes libchat_message_body(const libchat_message *message);

/* When it was sent, by the sender's clock, in Unix nanoseconds; the nearest that fits where that
 * is before 1678 or after 2261. */
int64_t libchat_message_sent_ns(const libchat_message *message);

/* When it was sent, in any year from 0 to 9999: in Unix seconds, and the nanoseconds behind them,
 * which `nanos` gets; it may be NULL. */
int64_t libchat_message_sent_seconds(const libchat_message *message, uint32_t *nanos);

/* When it was stored, by the server's clock, in Unix nanoseconds. */
int64_t libchat_message_time_ns(const libchat_message *message);

/* Its place: go on from here to get what follows. */
libchat_cursor libchat_message_cursor(const libchat_message *message);

/* The first header field under `name`, compared to the letter as NATS does; NULL if none. */
const char *libchat_message_header(const libchat_message *message, const char *name);

/* Gives all header fields, sorted by name, and answers how many; `out` may be NULL. */
size_t libchat_message_headers(const libchat_message *message, const libchat_header **out);

/* Keeps a message that a callback or a list has lent, until libchat_message_release. Answers it. */
const libchat_message *libchat_message_retain(const libchat_message *message);

/* Gives back a message that was retained. */
void libchat_message_release(const libchat_message *message);

/* Writes a cursor as text: "c1.<hex>.<number>.<hex>". LIBCHAT_CURSOR_SIZE bytes hold any. */
libchat_status libchat_cursor_format(libchat_cursor cursor, char *out, size_t size,
    libchat_error **err);

/* Reads a cursor from its text. */
libchat_status libchat_cursor_parse(const char *text, libchat_cursor *out, libchat_error **err);

/*
 * Send
 */

#define LIBCHAT_BY_SHORT 1                 /* `thread` is the 8 hex digits, not the name. */
#define LIBCHAT_EXPECT_LAST 2              /* CONFLICT unless the thread ends at `expect_last`. */
#define LIBCHAT_UNORDERED 4 /* Faster: do not wait for earlier sends to the thread. */
#define LIBCHAT_KEEP 16 /* libchat_send_async: what comes of it is kept for libchat_sent_take. */

/* How to send one message. */
typedef struct libchat_send_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    /* Idempotency key; NULL draws a fresh one of 32 hex digits. Sending twice under one id, within
     * the stream's duplicate window (2 minutes by default), stores once. */
    const char *id;
    const char *reply_to;            /* The id of the message that this one answers, or NULL. */
    const libchat_header *headers;   /* Header fields to store with it. */
    size_t headers_len;              /* How many. */
    libchat_cursor expect_last;      /* With LIBCHAT_EXPECT_LAST; all zero is an empty thread. */
    libchat_cancel cancel;           /* Ends the call. */
    uint32_t timeout_ms;             /* How long the whole call may take; 0 is 10000. */
    uint32_t flags; /* LIBCHAT_BY_SHORT, LIBCHAT_EXPECT_LAST, LIBCHAT_UNORDERED, LIBCHAT_KEEP. */
} libchat_send_options;

/* Proof that a message is stored; of a send that failed, its id. */
typedef struct libchat_receipt {
    /* The message's id, also of a send that failed, once its arguments were found good. */
    char id[65];
    uint8_t duplicate;               /* 1: it was stored before; the cursor is the first copy's. */
    uint8_t reserved[6];             /* 0. */
    libchat_cursor cursor;           /* All zero: this agent may not read where it is stored. */
} libchat_receipt;

/* Told once what a send came to; `receipt` and `error` are lent until it returns. Those of one
 * manager come one after the other. */
typedef void (*libchat_sent_fn)(libchat_status status, const libchat_receipt *receipt,
    const libchat_error *error, void *user_data);

/* Stores one message in `thread` and waits for the server's word on it.
 *
 * `thread`   its name; any text but the empty one
 * `body`     UTF-8; {NULL, 0} is an empty body
 * `options`  NULL for the defaults
 * `out`      gets the receipt; may be NULL
 *
 * Fails with
 *   TIMEOUT, DISCONNECTED  nothing was sent
 *   OUTCOME_UNKNOWN        the message may be stored. Send again with the same id (`out->id`): the
 *                          server drops the copy.
 *   CANCELLED              nothing was sent
 *   TOO_LARGE              the server's limit is smaller than this message
 *   CONFLICT               LIBCHAT_EXPECT_LAST: the thread has moved on; or the id is another
 *                          message's
 *   NOT_FOUND              the stream was deleted
 * After any failure but OUTCOME_UNKNOWN and PANIC the message is not stored.
 *
 * Blocks up to `options->timeout_ms`. Calls of one thread of yours are stored in their order. */
libchat_status libchat_send(libchat_manager manager, const char *thread, libchat_bytes body,
    const libchat_send_options *options, libchat_receipt *out, libchat_error **err);

/* Sends without waiting; `on_sent` is told what came of it. Arguments as for libchat_send, copied
 * before it returns. Messages to one thread are stored in the order of the calls.
 *
 * OK: exactly one `on_sent` follows, perhaps before this returns. Anything else: none does. With
 * LIBCHAT_KEEP `on_sent` must be NULL: libchat_sent_take hands it out.
 *
 * Fails with BUSY when 1,024 of this manager's sends are under way or kept: try again when one has
 * ended. */
libchat_status libchat_send_async(libchat_manager manager, const char *thread, libchat_bytes body,
    const libchat_send_options *options, libchat_sent_fn on_sent, void *user_data,
    libchat_error **err);

/* What one send came to. */
typedef struct libchat_sent {
    void *user_data;                 /* As given to libchat_send_async. */
    libchat_error *error;            /* Why it failed: yours to free; NULL after OK. */
    libchat_status status;           /* What a waiting libchat_send would have answered. */
    uint32_t reserved0;              /* 0. */
    libchat_receipt receipt;         /* Its receipt. */
} libchat_sent;

/* Takes what sends with LIBCHAT_KEEP came to, in the order of their ends, without waiting.
 *
 * `out`  room for `max`, of which `*len` are filled
 *
 * OK: at least one. EMPTY: none now. Fails with CLOSED once the manager is closed: its close waits
 * until all is taken. */
libchat_status libchat_sent_take(libchat_manager manager, libchat_sent *out, size_t max,
    size_t *len, libchat_error **err);

/* Gives a descriptor to poll: it is readable while libchat_sent_take has something, and from the
 * close of the manager on. Otherwise it is as libchat_watch_fd. */
libchat_status libchat_sent_fd(libchat_manager manager, intptr_t *out, libchat_error **err);

/*
 * Events
 */

/* A watch. */
typedef uint64_t libchat_watch;

/* What kind of event it is. Leave out those that you do not know. */
typedef int32_t libchat_event_kind;
#define LIBCHAT_EVENT_MESSAGE 1            /* A message. */
#define LIBCHAT_EVENT_CAUGHT_UP 2          /* Once: what was stored at the start is told. */
#define LIBCHAT_EVENT_GAP 3                /* After `after` up to `cursor` all is gone, untold. */
#define LIBCHAT_EVENT_RESET 4 /* The stream was made anew or rolled back: all follows. */
#define LIBCHAT_EVENT_MALFORMED 5          /* What is stored at `cursor` is no message. */
#define LIBCHAT_EVENT_STALLED 6            /* No source for 10 s, and why; nothing is lost. */
#define LIBCHAT_EVENT_RESUMED 7            /* There is a source again. */

/* An event. */
typedef struct libchat_event {
    libchat_event_kind kind;         /* One of LIBCHAT_EVENT_. */
    int32_t reason;                  /* STALLED: what a call would answer now; else 0. */
    const libchat_message *message;  /* MESSAGE: lent, by the callback or the list; else NULL. */
    libchat_cursor cursor;           /* Its place: save it, and go on after it. */
    libchat_cursor after;            /* GAP: the last place before it. */
    uint64_t reserved[2];            /* 0. */
} libchat_event;

/* Whether a watch goes on. */
typedef int32_t libchat_flow;
#define LIBCHAT_CONTINUE 0                 /* It does. */
#define LIBCHAT_STOP 1                     /* It stops, as by libchat_watch_stop. */

/* Told the events of one watch, one after the other, in stream order; `event` is lent until it
 * returns. It may run before the function that set up the watch has returned. */
typedef libchat_flow (*libchat_event_fn)(libchat_watch watch, const libchat_event *event,
    void *user_data);

/* Told once when nothing will follow any more, after the last other callback has returned: the
 * place to free `user_data`. `handle` is the watch or the responder.
 *
 * `status`  END after stop or close; CLOSED when the manager or the connection was closed; else
 *           why it ended, with `error`, which is lent until this returns */
typedef void (*libchat_done_fn)(uint64_t handle, libchat_status status, const libchat_error *error,
    void *user_data);

/* A list of events, from libchat_watch_take or libchat_history. It never changes; its messages are
 * lent until it is released. */
typedef struct libchat_events libchat_events;

/* How many events it has; 0 for NULL. */
size_t libchat_events_len(const libchat_events *events);

/* Event number `index`, from 0 on; NULL past the end. */
const libchat_event *libchat_events_get(const libchat_events *events, size_t index);

/* Whether a history ended at a bound; `next`, which may be NULL, gets the place to go on after. */
bool libchat_events_truncated(const libchat_events *events, libchat_cursor *next);

/* Frees a list, and the messages in it that nobody retained. */
void libchat_events_release(const libchat_events *events);

/*
 * Watch
 *
 * A watch tells what happens in one thread or many, once each and in stream order, from where it
 * starts: to a callback, or to whoever takes it (pull mode). A slow reader loses nothing and holds
 * up nobody: what its queue has no room for is read from the stream later.
 */

/* Where a watch or a history begins. */
typedef int32_t libchat_start;
#define LIBCHAT_START_NEW 0                /* With what is stored after the call. */
#define LIBCHAT_START_ALL 1                /* With the oldest message stored. */
/* After `cursor`. One that is not of today's stream gives RESET and then everything in a watch,
 * CONFLICT in history; all zero is INVALID_ARGUMENT. */
#define LIBCHAT_START_AFTER 2
#define LIBCHAT_START_TIME 3 /* With the first that was stored at `time_ns` or later. */
#define LIBCHAT_START_LAST 4               /* With the last `limit`; history: before `cursor`. */
#define LIBCHAT_SKIP_OWN 8                 /* Leave out what this agent wrote itself. */

/* How to watch. */
typedef struct libchat_watch_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    libchat_event_fn on_event;       /* Told each event. NULL is pull mode: libchat_watch_take. */
    libchat_done_fn on_done;         /* Told the end, in both modes; may be NULL. */
    void *user_data;                 /* Handed to both. */
    libchat_cursor cursor;           /* For LIBCHAT_START_AFTER. */
    int64_t time_ns;                 /* For LIBCHAT_START_TIME: Unix nanoseconds. */
    uint64_t limit;                  /* For LIBCHAT_START_LAST: how many. */
    libchat_cancel cancel;           /* Ends the setting up. */
    uint64_t queue_bytes;            /* Bytes held for a slow reader; 0 is 8 MiB. */
    libchat_start start;             /* Where to begin. */
    uint32_t queue;                  /* Events held for a slow reader; 0 is 256. */
    uint32_t timeout_ms;             /* How long setting up may take; 0 is 10000. */
    uint32_t flags;                  /* LIBCHAT_BY_SHORT (watch_thread only), LIBCHAT_SKIP_OWN. */
} libchat_watch_options;

/* Watches one thread. Returns when it is set up: with LIBCHAT_START_NEW every message stored after
 * that is told, and none stored before the call. `*out` is written before the first callback.
 *
 * `options`  NULL for the defaults: pull mode, new messages
 *
 * Fails with
 *   TOO_MANY_SUBSCRIBERS  the manager has as many watches as it may
 *   TIMEOUT, DISCONNECTED, UNAUTHORIZED, NOT_FOUND  it could not be set up
 * Then no callback ever runs, and `user_data` stays yours. */
libchat_status libchat_watch_thread(libchat_manager manager, const char *thread,
    const libchat_watch_options *options, libchat_watch *out, libchat_error **err);

/* Watches every thread of the project. As libchat_watch_thread otherwise. */
libchat_status libchat_watch_all(libchat_manager manager, const libchat_watch_options *options,
    libchat_watch *out, libchat_error **err);

/* Watches the threads whose short matches `pattern`: "*", ">" or 8 hex digits, as NATS subjects
 * have them. As libchat_watch_thread otherwise. */
libchat_status libchat_watch_pattern(libchat_manager manager, const char *pattern,
    const libchat_watch_options *options, libchat_watch *out, libchat_error **err);

/* Pull mode: takes up to `max` events, waiting up to `timeout_ms` for the first.
 *
 * OK: `*out` is a list of at least one, to be released. EMPTY: none came in time. END: the watch
 * was stopped. Otherwise `*out` is NULL.
 *
 * Fails with INVALID_STATE on a watch with a callback, with CLOSED when the manager was closed. */
libchat_status libchat_watch_take(libchat_watch watch, size_t max, uint32_t timeout_ms,
    const libchat_events **out, libchat_error **err);

/* Pull mode: gives a descriptor to poll, in an event loop of yours. It is readable while
 * libchat_watch_take would not wait, and from the end on for ever; each change from nothing to
 * something is an edge for whoever polls for edges. It may be readable for nothing. Never read it.
 *
 * Each call gives another descriptor, which is yours: take it out of your loop, then close it,
 * before or after the watch. It is not blocking, and not inherited by programs that are started.
 *
 * Fails with INVALID_STATE on a watch with a callback, with SYSTEM when no descriptor is left;
 * `*out` is -1 then. */
libchat_status libchat_watch_fd(libchat_watch watch, intptr_t *out, libchat_error **err);

/* Stops, from any thread and any callback: once it has returned no further `on_event` begins. One
 * begun already, perhaps only just, perhaps this very one, finishes; then `on_done` comes. Who
 * waits in libchat_watch_take gets END. Again: OK. */
libchat_status libchat_watch_stop(libchat_watch watch);

/* Waits until `on_done` has returned. It does not stop: call libchat_watch_stop before, or wait
 * for the end that the callback decides on.
 *
 * Fails with TIMEOUT after `timeout_ms` (call again), and at once with WOULD_DEADLOCK on a thread
 * of libchat, as in a callback. */
libchat_status libchat_watch_join(libchat_watch watch, uint32_t timeout_ms, libchat_error **err);

/* Stops, waits until `on_done` has returned, and gives the handle back, which a watch that has
 * ended keeps until then. On a thread of libchat, as in a callback, it does not wait. Do not call
 * it while you hold a lock that the callbacks take. 0 and a closed handle: OK. */
libchat_status libchat_watch_close(libchat_watch watch);

/*
 * History
 */

/* How much of the past to read. */
typedef struct libchat_history_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    libchat_cursor cursor;           /* For LIBCHAT_START_AFTER, and LIBCHAT_START_LAST. */
    int64_t time_ns;                 /* For LIBCHAT_START_TIME: Unix nanoseconds. */
    uint64_t max_bytes;              /* Bound on the bodies, in bytes, but 1 is read; 0 is none. */
    libchat_cancel cancel;           /* Ends the call. */
    libchat_start start;             /* 0 is LIBCHAT_START_ALL here. */
    uint32_t limit;                  /* At most so many messages; 0 is 1000. */
    uint32_t timeout_ms;             /* How long the whole call may take; 0 is 30000. */
    uint32_t flags;                  /* LIBCHAT_BY_SHORT. */
} libchat_history_options;

/* Reads past messages of a thread, oldest first, up to the stream's end as it is at the call: a
 * list of MESSAGE and GAP events, to be released.
 *
 * `options`  NULL for the defaults: the oldest 1,000
 *
 * libchat_events_truncated says whether there is more.
 *
 * Fails with CONFLICT when the cursor is another stream's, or the stream is made anew meanwhile. */
libchat_status libchat_history(libchat_manager manager, const char *thread,
    const libchat_history_options *options, const libchat_events **out, libchat_error **err);

/*
 * Threads
 */

/* How to call what waits for an answer: lists, request and ask. */
typedef struct libchat_call_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    const libchat_header *headers;   /* Request and ask: header fields to send with it. */
    size_t headers_len;              /* How many. */
    libchat_cancel cancel;           /* Ends the call. */
    uint32_t timeout_ms;             /* How long the whole call may take; 0 is 30000. */
    uint32_t flags;                  /* 0. */
} libchat_call_options;

/* A list of threads; it never changes. */
typedef struct libchat_threads libchat_threads;

/* One thread of a list; its texts are lent until the list is released. */
typedef struct libchat_thread_summary {
    size_t struct_size;              /* LIBCHAT_INIT sets it; what fits is filled. */
    const char *short_id;            /* Its 8 hex digits. */
    libchat_bytes name;              /* Its name; empty when the last message does not carry it. */
    libchat_bytes last_sender;       /* Empty, like the next, if the newest 33 are malformed. */
    libchat_bytes last_body;         /* The last message's text. */
    uint64_t message_count;          /* How many messages are stored in it. */
    int64_t last_activity_ns;        /* When the last was stored, by the server's clock. */
    libchat_cursor cursor;           /* The newest message's place. */
} libchat_thread_summary;

/* Lists the threads of the project, the most recently used first: complete, or an error. Its cost
 * grows with the threads, not with the messages.
 *
 * `options`  NULL for the defaults
 * `out`      gets a list, to be released */
libchat_status libchat_list_threads(libchat_manager manager, const libchat_call_options *options,
    const libchat_threads **out, libchat_error **err);

/* Lists the threads that `agent` has written in, the most recently used first, at most
 * `max_threads`: complete, or an error. As libchat_list_threads otherwise. */
libchat_status libchat_threads_for_agent(libchat_manager manager, const char *agent,
    uint32_t max_threads, const libchat_call_options *options, const libchat_threads **out,
    libchat_error **err);

/* How many threads it has; 0 for NULL. */
size_t libchat_threads_len(const libchat_threads *threads);

/* Fills `out` with thread number `index`, from 0 on. `out->struct_size` must be set.
 *
 * Fails with INVALID_ARGUMENT past the end. */
libchat_status libchat_threads_get(const libchat_threads *threads, size_t index,
    libchat_thread_summary *out);

/* Frees a list. */
void libchat_threads_release(const libchat_threads *threads);

/*
 * Request, on any subject, and ask, between agents
 *
 * For answers at once, from who is there now; nothing is stored. An agent answers under its name,
 * on the subject <project>.ask.<agent>.
 */

/* An answer. */
typedef struct libchat_reply libchat_reply;

/* Sends `payload` to whoever listens on `subject`, and waits for the first answer.
 *
 * `options`  NULL for the defaults
 * `out`      gets the answer, to be released
 *
 * Fails with
 *   NO_RESPONDERS  nobody listens there; told at once
 *   TIMEOUT        no answer came in time; whether it was handled is not known
 *   REMOTE         the handler failed (libchat_error_remote_code); between libchat's only
 *   CANCELLED      it may have been handled
 *   TOO_LARGE      the server's limit is smaller */
libchat_status libchat_request(libchat_manager manager, const char *subject, libchat_bytes payload,
    const libchat_call_options *options, const libchat_reply **out, libchat_error **err);

/* Asks an agent of this project. As libchat_request otherwise. */
libchat_status libchat_ask(libchat_manager manager, const char *agent, libchat_bytes payload,
    const libchat_call_options *options, const libchat_reply **out, libchat_error **err);

/* The answer: any bytes, lent until it is released. */
libchat_bytes libchat_reply_payload(const libchat_reply *reply);

/* Frees an answer. */
void libchat_reply_release(const libchat_reply *reply);

/*
 * Respond on any subject, and answer as an agent
 *
 * A responder has a callback, or leaves the answer to any other thread of yours.
 */

/* What answers requests. */
typedef uint64_t libchat_responder;

/* One request that waits for its answer: give it from any thread, once. */
typedef uint64_t libchat_request_id;

/* A request, lent until the callback returns: copy what you need later, but the id is yours. */
typedef struct libchat_incoming {
    libchat_request_id id;           /* For libchat_request_reply or libchat_request_fail. */
    const char *subject;             /* The subject it came on. */
    libchat_bytes payload;           /* What is asked: any bytes. */
    const libchat_header *headers;   /* Its header fields. */
    size_t headers_len;              /* How many. */
    uint64_t reserved[2];            /* 0. */
} libchat_incoming;

/* Told the requests of one responder, one after the other. It may answer, or leave that to another
 * thread. */
typedef void (*libchat_request_fn)(libchat_responder responder, const libchat_incoming *incoming,
    void *user_data);

/* How to respond. */
typedef struct libchat_respond_options {
    size_t struct_size;              /* LIBCHAT_INIT sets it. */
    libchat_request_fn on_request;   /* Told each request. Must be given. */
    libchat_done_fn on_done;         /* Told the end; may be NULL. */
    void *user_data;                 /* Handed to both. */
    const char *queue_group;         /* NULL: each responder gets all; else one of the group. */
    libchat_cancel cancel;           /* Ends the setting up. */
    /* How many may be open at once; 0 is 1. 256 more (8 MiB) are held, others are told "busy". */
    uint32_t concurrency;
    uint32_t answer_timeout_ms;      /* After it a request has failed ("timeout"); 0 is 30000. */
    uint32_t timeout_ms;             /* How long setting up may take; 0 is 10000. */
    uint32_t reserved0;              /* 0. */
} libchat_respond_options;

/* Listens for requests on `subject`. Returns when the server knows of it; `*out` is written before
 * the first callback. If it fails, no callback ever runs, and `user_data` stays yours. */
libchat_status libchat_respond(libchat_manager manager, const char *subject,
    const libchat_respond_options *options, libchat_responder *out, libchat_error **err);

/* Listens for what is asked of this agent. As libchat_respond otherwise. */
libchat_status libchat_answer(libchat_manager manager, const libchat_respond_options *options,
    libchat_responder *out, libchat_error **err);

/* Answers a request, from any thread. Whether the answer arrives is not known.
 *
 * Fails with INVALID_STATE when it was answered already, or its time is over; with TOO_LARGE for
 * more than the server takes, which the one who asks is told. */
libchat_status libchat_request_reply(libchat_request_id request, libchat_bytes payload,
    libchat_error **err);

/* Says that a request failed. Who asks gets REMOTE with `code` and `text`, if that is libchat, and
 * no reply at all otherwise.
 *
 * `code`  a word of at most 64 letters, digits, "_", "-" or "."
 * `text`  for people */
libchat_status libchat_request_fail(libchat_request_id request, const char *code, const char *text,
    libchat_error **err);

/* Takes no new requests: once it has returned no further `on_request` begins. What is open can
 * still be answered; `on_done` comes when all of it is, or its time is over. From any thread and
 * any callback; again: OK. */
libchat_status libchat_responder_stop(libchat_responder responder);

/* Waits until `on_done` has returned. As libchat_watch_join. */
libchat_status libchat_responder_join(libchat_responder responder, uint32_t timeout_ms,
    libchat_error **err);

/* Stops, fails what is open (with the code "unanswered"), waits until `on_done` has returned, and
 * gives the handle back. As libchat_watch_close otherwise. For answers to come first: stop and
 * join before. */
libchat_status libchat_responder_close(libchat_responder responder);

/*
 * Figures
 */

/* What a manager has counted since it was opened. */
typedef struct libchat_stats {
    size_t struct_size;              /* LIBCHAT_INIT sets it; what fits is filled. */
    uint64_t sent;                   /* Messages stored. */
    uint64_t resent;                 /* Repeated under the same id, for want of an answer. */
    uint64_t duplicates;             /* Answers saying that a message was stored already. */
    uint64_t delivered;              /* Messages handed to watches. */
    uint64_t malformed;              /* Stored payloads that are no message. */
    uint64_t gaps;                   /* GAP events. */
    uint64_t resets;                 /* RESET events. */
    uint64_t detaches;               /* Times a watch was too slow for the live tail. */
    uint64_t reopens;                /* Times the live tail was opened again after a fault. */
    uint64_t reconnects;             /* Times the connection was made again. */
    uint64_t watches;                /* Watches that are live now. */
    uint64_t buffered_bytes;         /* Bytes queued now for all watches of the connection. */
    uint32_t connected;              /* 1: the connection is up now. */
    uint32_t polling;                /* 1: no consumer to spare; the tail asks by turns. */
} libchat_stats;

/* Fills `out` with the figures of now. `out->struct_size` must be set. */
libchat_status libchat_manager_stats(libchat_manager manager, libchat_stats *out,
    libchat_error **err);
#ifdef __cplusplus
}
#endif

#endif /* LIBCHAT_H */
