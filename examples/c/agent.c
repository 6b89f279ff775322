/*
 * An agent of the demo, in C: agent NAME
 *
 * It does what core/examples/demo/agent.rs does: follows every thread, says its lines, answers what
 * it is asked, and writes all of it down in its journal. Its input is the conversation: for each
 * line id, sender, thread, text, whom the sender asks before, what, and the answer, with tabs
 * between; then an empty line. It runs in the folder of the server.
 */
#define _POSIX_C_SOURCE 200809L
#include <libchat.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 100
enum { ID, FROM, THREAD, TEXT, ASKS, QUESTION, ANSWER, FIELDS };

static char *lines[LINES_MAX][FIELDS]; /* "" for what is not there */
static size_t line_count;
static const char *name;
static libchat_manager manager;
static FILE *journal;
/* How many lines were said, and how many when we last spoke: no line is said twice. */
static size_t heard, spoke_at = SIZE_MAX;
static bool caught_up;

static void fail(const char *why)
{
    fprintf(stderr, "agent %s: %s\n", name, why);
    exit(1);
}

static void check(libchat_status status, libchat_error **err)
{
    if (status != LIBCHAT_OK)
        fail(libchat_error_message(*err));
}

static libchat_bytes bytes(const char *text)
{
    return (libchat_bytes){ (const uint8_t *)text, strlen(text) };
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL);
}

static void read_conversation(void)
{
    char *text = NULL;
    size_t size = 0;

    while (getline(&text, &size, stdin) > 1) {
        char *rest = text;

        for (size_t i = 0; i < FIELDS; i++) {
            size_t len = strcspn(rest, "\t\n");

            if (line_count == LINES_MAX || rest[len] == '\0')
                fail("the conversation is too long, or not one");
            lines[line_count][i] = rest;
            rest[len] = '\0';
            rest += len + 1;
        }
        line_count++;
        text = NULL; /* the fields stay */
    }
    free(text);
}

/* Our input ends when the process ends that started us. */
static void *end_with_parent(void *unused)
{
    while (getchar() != EOF)
        ;
    exit(1);
    return unused;
}

/* Goes on with the journal: counts what was heard, gives the cursor of the last of it, and removes
 * what a kill left of a line. */
static void open_journal(const char *path, char *cursor)
{
    static const char saw[] = "{\"saw\":{\"cursor\":\"";
    char *text = NULL;
    size_t size = 0;
    ssize_t len;
    off_t whole = 0;

    journal = fopen(path, "a+");
    if (journal == NULL)
        fail("the journal cannot be opened");
    while ((len = getline(&text, &size, journal)) > 0 && text[len - 1] == '\n') {
        whole += len;
        if (strncmp(text, saw, sizeof saw - 1) == 0) {
            char *begin = text + sizeof saw - 1;

            begin[strcspn(begin, "\"")] = '\0';
            snprintf(cursor, LIBCHAT_CURSOR_SIZE, "%s", begin);
            heard++;
        }
    }
    free(text);
    if (ferror(journal) || ftruncate(fileno(journal), whole) != 0)
        fail("the journal cannot be read");
}

static void write_field(const char *key, libchat_bytes text)
{
    fprintf(journal, ",\"%s\":\"", key);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.data[i];

        if (c < ' ' || c == '"' || c == '\\')
            fprintf(journal, "\\u%04x", c);
        else
            putc(c, journal);
    }
    putc('"', journal);
}

static void end_note(const char *end)
{
    fprintf(journal, "%s\n", end);
    if (fflush(journal) != 0 || ferror(journal))
        fail("the journal cannot be written");
}

static void note_message(const libchat_message *message)
{
    char cursor[LIBCHAT_CURSOR_SIZE];
    libchat_cursor place = libchat_message_cursor(message);
    libchat_error *err;

    check(libchat_cursor_format(place, cursor, sizeof cursor, &err), &err);
    fprintf(journal, "{\"saw\":{\"cursor\":\"%s\"", cursor);
    write_field("id", libchat_message_id(message));
    write_field("thread", libchat_message_thread(message));
    write_field("sender", libchat_message_sender(message));
    write_field("body", libchat_message_body(message));
    end_note("}}");
}

static void take(const libchat_event *event)
{
    switch (event->kind) {
    case LIBCHAT_EVENT_MESSAGE:
        note_message(event->message);
        heard++;
        break;
    case LIBCHAT_EVENT_CAUGHT_UP:
        end_note("\"caught_up\"");
        caught_up = true;
        break;
    default:
        fprintf(journal, "{\"odd\":\"event %d", (int)event->kind);
        end_note("\"}");
    }
}

/* Asks until the other one is as the conversation says: there to answer, or away. */
static void ask(char **line)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *reply;
    libchat_error *err;

    options.timeout_ms = 1000;
    for (;;) {
        double begin = now_ms();
        libchat_status status =
            libchat_ask(manager, line[ASKS], bytes(line[QUESTION]), &options, &reply, &err);
        bool is_settled = status == (*line[ANSWER] ? LIBCHAT_OK : LIBCHAT_ERR_NO_RESPONDERS);

        /* TIMEOUT: it was killed between hearing and answering. */
        if (status != LIBCHAT_ERR_NO_RESPONDERS && status != LIBCHAT_ERR_TIMEOUT)
            check(status, &err);
        if (is_settled) {
            fprintf(journal, "{\"asked\":{\"took_ms\":%.3f", now_ms() - begin);
            write_field("to", bytes(line[ASKS]));
            write_field("text", bytes(line[QUESTION]));
            if (status == LIBCHAT_OK)
                write_field("answer", libchat_reply_payload(reply));
            end_note(status == LIBCHAT_OK ? "}}" : ",\"answer\":null}}");
        }
        libchat_reply_release(reply);
        libchat_error_free(err);
        if (is_settled)
            return;
        sleep_ms(10);
    }
}

/* Says a line under an id of its own: if we are killed before we hear it, our next process says it
 * again, and the server drops the copy. */
static void say(char **line)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    double begin = now_ms();
    libchat_receipt receipt;
    libchat_error *err;

    options.id = line[ID];
    check(libchat_send(manager, line[THREAD], bytes(line[TEXT]), &options, &receipt, &err), &err);
    fprintf(journal, "{\"said\":{\"took_ms\":%.3f", now_ms() - begin);
    end_note("}}");
}

static void speak_if_due(void)
{
    if (!caught_up || heard == line_count || spoke_at == heard)
        return;
    if (strcmp(lines[heard][FROM], name) != 0)
        return;
    spoke_at = heard;
    sleep_ms(150); /* nobody types faster */
    if (*lines[heard][ASKS])
        ask(lines[heard]);
    say(lines[heard]);
}

/* Answers what we are asked, as the conversation says. */
static void on_request(libchat_responder responder, const libchat_incoming *incoming, void *unused)
{
    const char *answer = "I am here";

    (void)responder, (void)unused;
    for (size_t i = 0; i < line_count; i++) {
        libchat_bytes question = bytes(lines[i][QUESTION]);

        if (strcmp(lines[i][ASKS], name) == 0 && question.len == incoming->payload.len &&
            memcmp(question.data, incoming->payload.data, question.len) == 0 && *lines[i][ANSWER])
            answer = lines[i][ANSWER];
    }
    /* An answer that is lost is missed by the one who asked, who asks again. */
    libchat_request_reply(incoming->id, bytes(answer), NULL);
}

static void run(libchat_watch watch)
{
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);
    const libchat_events *events;
    libchat_error *err;

    while (heard < line_count) {
        check(libchat_watch_take(watch, 1, LIBCHAT_INFINITE, &events, &err), &err);
        take(libchat_events_get(events, 0));
        libchat_events_release(events);
        speak_if_due();
    }
    check(libchat_manager_stats(manager, &stats, &err), &err);
    fprintf(journal, "{\"ended\":{\"reconnects\":%llu", (unsigned long long)stats.reconnects);
    end_note("}}");
}

int main(int argc, char **argv)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_respond_options respond = LIBCHAT_INIT(libchat_respond_options);
    libchat_watch_options pull = LIBCHAT_INIT(libchat_watch_options);
    char path[256], cursor[LIBCHAT_CURSOR_SIZE] = "";
    libchat_conn conn;
    libchat_responder responder;
    libchat_watch watch;
    libchat_error *err;
    pthread_t thread;

    name = argc > 1 ? argv[1] : "ana";
    read_conversation();
    snprintf(path, sizeof path, "%s.jsonl", name);
    open_journal(path, cursor);
    fprintf(journal, "{\"started\":{\"after\":");
    fprintf(journal, *cursor ? "\"%s\"" : "null", cursor);
    end_note("}}");
    if (pthread_create(&thread, NULL, end_with_parent, NULL) != 0)
        fail("there is no thread left");

    options.project = "demo";
    options.agent_id = name;
    respond.on_request = on_request;
    pull.start = *cursor ? LIBCHAT_START_AFTER : LIBCHAT_START_ALL;
    if (*cursor)
        check(libchat_cursor_parse(cursor, &pull.cursor, &err), &err);
    check(libchat_connect(NULL, &conn, &err), &err);
    check(libchat_open(conn, &options, &manager, &err), &err);
    check(libchat_answer(manager, &respond, &responder, &err), &err);
    check(libchat_watch_all(manager, &pull, &watch, &err), &err);
    run(watch);
    check(libchat_conn_close(conn, 2000, &err), &err);
    return 0;
}
