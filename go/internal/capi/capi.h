/* What Go cannot do itself: functions that libchat calls, and many small reads as one call. */
#ifndef CAPI_H
#define CAPI_H

#include <libchat.h>

/* What libchat has told. Its callbacks write the address of one into a pipe; Go reads it there,
 * and frees it. */
typedef struct capi_note {
    enum { CAPI_REQUEST, CAPI_DONE, CAPI_LOG } kind;
    int pipe;
    uint64_t token;                  /* REQUEST, DONE: whose; LOG: lines lost before it. */
    int32_t level;                   /* LOG. */
    libchat_request_id request;      /* REQUEST. */
    size_t headers_len;              /* REQUEST. */
    libchat_bytes payload;           /* REQUEST; LOG: the text. */
    /* Texts, each with its NUL. REQUEST: the subject, then names and values of header fields; LOG:
     * the target. */
    char *texts;
} capi_note;

/* How many notes there are: 0 again when all were freed. */
int64_t capi_notes(void);
void capi_note_free(capi_note *note);

/* As libchat_send_async with LIBCHAT_KEEP. `texts` holds the thread, the id, the id of the message
 * that is answered, then names and values of header fields. */
libchat_status capi_send(libchat_manager manager, uint64_t token, const char *texts,
    size_t headers_len, const uint8_t *body, size_t body_len, const libchat_cursor *expect_last,
    libchat_cancel cancel, uint32_t timeout_ms, uint32_t flags, libchat_error **err);

/* libchat_sent with a number as Go may hold it: its collector looks into pointers. */
typedef struct capi_sent {
    uint64_t token;
    libchat_error *error;
    libchat_status status;
    libchat_receipt receipt;
} capi_sent;

enum { CAPI_TAKE_MAX = 64 };

/* As libchat_sent_take, up to CAPI_TAKE_MAX. */
libchat_status capi_sent_take(libchat_manager manager, capi_sent *out, size_t *len,
    libchat_error **err);

/* As libchat_respond, or libchat_answer where `subject` is NULL; requests and the end are told as
 * `token` in `pipe`. */
libchat_status capi_respond(libchat_manager manager, int pipe, uint64_t token, const char *subject,
    const libchat_respond_options *options, libchat_responder *out, libchat_error **err);

/* Has the log told in `pipe`, which does not block; a negative one ends it. */
libchat_status capi_set_log(int pipe, int32_t level_max);

/* An event, and all of its message. */
typedef struct capi_event {
    libchat_event_kind kind;
    int32_t reason;
    libchat_cursor cursor, after;
    libchat_bytes id, sender, thread, reply_to, body;
    const char *short_id;
    int64_t sent_s, time_ns;
    uint32_t sent_ns;                /* Behind the seconds. */
    const libchat_header *headers;
    size_t headers_len;
} capi_event;

/* Reads up to `len` events from number `first` on; answers how many there were. */
size_t capi_events_read(const libchat_events *events, size_t first, capi_event *out, size_t len);

#endif
