#include "capi.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic int64_t notes;

/* Ends the process where there is none left, as Go does. */
static void *memory(size_t size)
{
    void *found = calloc(1, size);
    if (found == NULL)
        abort();
    return found;
}

static capi_note *note_new(int kind, int pipe, uint64_t token)
{
    capi_note *note = memory(sizeof *note);
    note->kind = kind;
    note->pipe = pipe;
    note->token = token;
    atomic_fetch_add(&notes, 1);
    return note;
}

int64_t capi_notes(void)
{
    return atomic_load(&notes);
}

void capi_note_free(capi_note *note)
{
    free(note->texts);
    free(note);
    atomic_fetch_sub(&notes, 1);
}

/* Writes the address in one piece, as pipes do with so little. */
static bool note_tell(capi_note *note)
{
    ssize_t written;
    do
        written = write(note->pipe, &note, sizeof note);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        capi_note_free(note);
    return written >= 0;
}

/* Appends `text` with its NUL; `*end` is where it ends. */
static char *append(char *end, const char *text)
{
    return (char *)memcpy(end, text, strlen(text) + 1) + strlen(text) + 1;
}

libchat_status capi_send(libchat_manager manager, uint64_t token, const char *texts,
    size_t headers_len, const uint8_t *body, size_t body_len, const libchat_cursor *expect_last,
    libchat_cancel cancel, uint32_t timeout_ms, uint32_t flags, libchat_error **err)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_header few[8], *headers = few;
    const char *thread = texts, *id = thread + strlen(thread) + 1;
    const char *reply_to = id + strlen(id) + 1, *field = reply_to + strlen(reply_to) + 1;

    if (headers_len > sizeof few / sizeof *few)
        headers = memory(headers_len * sizeof *headers);
    for (size_t i = 0; i < headers_len; i++) {
        headers[i].name = field;
        field += strlen(field) + 1;
        headers[i].value = field;
        field += strlen(field) + 1;
    }
    options.id = *id ? id : NULL;
    options.reply_to = *reply_to ? reply_to : NULL;
    options.headers = headers;
    options.headers_len = headers_len;
    options.expect_last = *expect_last;
    options.cancel = cancel;
    options.timeout_ms = timeout_ms;
    options.flags = flags | LIBCHAT_KEEP;
    libchat_status status = libchat_send_async(manager, thread, (libchat_bytes){ body, body_len },
        &options, NULL, (void *)(uintptr_t)token, err);
    if (headers != few)
        free(headers);
    return status;
}

libchat_status capi_sent_take(libchat_manager manager, capi_sent *out, size_t *len,
    libchat_error **err)
{
    libchat_sent taken[CAPI_TAKE_MAX];
    libchat_status status = libchat_sent_take(manager, taken, CAPI_TAKE_MAX, len, err);

    for (size_t i = 0; i < *len; i++)
        out[i] = (capi_sent){ (uintptr_t)taken[i].user_data, taken[i].error, taken[i].status,
            taken[i].receipt };
    return status;
}

/* Where a responder tells what comes. */
typedef struct origin {
    int pipe;
    uint64_t token;
} origin;

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
    void *user_data)
{
    const origin *from = user_data;
    capi_note *note = note_new(CAPI_REQUEST, from->pipe, from->token);
    size_t subject = strlen(incoming->subject) + 1, headers = 0;

    (void)responder;
    for (size_t i = 0; i < incoming->headers_len; i++)
        headers += strlen(incoming->headers[i].name) + strlen(incoming->headers[i].value) + 2;
    note->texts = memory(subject + headers + incoming->payload.len);
    char *end = append(note->texts, incoming->subject);
    for (size_t i = 0; i < incoming->headers_len; i++) {
        end = append(end, incoming->headers[i].name);
        end = append(end, incoming->headers[i].value);
    }
    memcpy(end, incoming->payload.data, incoming->payload.len);
    note->payload = (libchat_bytes){ (const uint8_t *)end, incoming->payload.len };
    note->request = incoming->id;
    note->headers_len = incoming->headers_len;
    note_tell(note);
}

static void on_done(uint64_t handle, libchat_status status, const libchat_error *error,
    void *user_data)
{
    origin *from = user_data;
    capi_note *note = note_new(CAPI_DONE, from->pipe, from->token);

    (void)handle, (void)status, (void)error;
    free(from);
    note_tell(note);
}

libchat_status capi_respond(libchat_manager manager, int pipe, uint64_t token, const char *subject,
    const libchat_respond_options *given, libchat_responder *out, libchat_error **err)
{
    libchat_respond_options options = *given;
    origin *from = memory(sizeof *from);
    *from = (origin){ pipe, token };
    options.on_request = on_request;
    options.on_done = on_done;
    options.user_data = from;
    libchat_status status = subject != NULL
        ? libchat_respond(manager, subject, &options, out, err)
        : libchat_answer(manager, &options, out, err);
    if (status != LIBCHAT_OK)
        free(from);
    return status;
}

static void on_log(int32_t level, const char *target, libchat_bytes text, void *user_data)
{
    static _Atomic uint64_t dropped;
    capi_note *note = note_new(CAPI_LOG, *(int *)user_data, 0);

    uint64_t lost = atomic_exchange(&dropped, 0);
    note->level = level;
    note->token = lost;
    note->texts = memory(strlen(target) + 1 + text.len);
    char *end = append(note->texts, target);
    memcpy(end, text.data, text.len);
    note->payload = (libchat_bytes){ (const uint8_t *)end, text.len };
    if (!note_tell(note))
        atomic_fetch_add(&dropped, lost + 1);
}

libchat_status capi_set_log(int pipe, int32_t level_max)
{
    static int current;
    libchat_status status = libchat_set_log(NULL, NULL, 0);
    if (pipe < 0 || status != LIBCHAT_OK)
        return status;
    current = pipe; /* nobody reads it now */
    return libchat_set_log(on_log, &current, level_max);
}

size_t capi_events_read(const libchat_events *events, size_t first, capi_event *out, size_t len)
{
    size_t count = 0;
    for (; count < len; count++, out++) {
        const libchat_event *event = libchat_events_get(events, first + count);
        if (event == NULL)
            break;
        const libchat_message *message = event->message;
        out->kind = event->kind;
        out->reason = event->reason;
        out->cursor = event->cursor;
        out->after = event->after;
        if (message == NULL)
            continue;
        out->id = libchat_message_id(message);
        out->sender = libchat_message_sender(message);
        out->thread = libchat_message_thread(message);
        out->reply_to = libchat_message_reply_to(message);
        out->body = libchat_message_body(message);
        out->short_id = libchat_message_short(message);
        out->sent_s = libchat_message_sent_seconds(message, &out->sent_ns);
        out->time_ns = libchat_message_time_ns(message);
        out->headers_len = libchat_message_headers(message, &out->headers);
    }
    return count;
}
