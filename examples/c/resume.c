/*
 * Goes on after a kill -9: resume LEDGER [PROJECT [AGENT]]
 *
 * Adds a line to the file LEDGER for each message: its cursor, its sender, its text. What was dealt
 * with and where to go on are one line, which no kill can part: nothing is lost, and nothing comes
 * twice. (To outlive a crash of the machine takes fsync, too.)
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <libchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(libchat_status status, libchat_error **err)
{
    if (status == LIBCHAT_OK)
        return;
    fprintf(stderr, "resume: %s\n", libchat_error_message(*err));
    exit(1);
}

/* Removes what a kill left of a line, and gives the cursor of the last whole one. */
static FILE *open_ledger(const char *path, libchat_cursor *last)
{
    FILE *ledger = fopen(path, "a+");
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    off_t whole = 0;
    libchat_error *err;

    while (ledger != NULL && (len = getline(&line, &size, ledger)) > 0 && line[len - 1] == '\n') {
        line[strcspn(line, " ")] = '\0';
        check(libchat_cursor_parse(line, last, &err), &err);
        whole += len;
    }
    free(line);
    if (ledger == NULL || ferror(ledger) || ftruncate(fileno(ledger), whole) != 0) {
        perror(path);
        exit(1);
    }
    return ledger;
}

static void write_text(FILE *ledger, libchat_bytes text, char end)
{
    for (size_t i = 0; i < text.len; i++)
        putc(iscntrl(text.data[i]) ? ' ' : text.data[i], ledger);
    putc(end, ledger);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *ledger)
{
    char cursor[LIBCHAT_CURSOR_SIZE];

    (void)watch;
    if (event->kind == LIBCHAT_EVENT_GAP)
        fprintf(stderr, "resume: lost: what came up to number %llu has expired\n",
                (unsigned long long)event->cursor.seq);
    if (event->kind == LIBCHAT_EVENT_RESET)
        fprintf(stderr, "resume: the stream was made anew: here is all of it\n");
    if (event->kind != LIBCHAT_EVENT_MESSAGE)
        return LIBCHAT_CONTINUE;
    if (libchat_cursor_format(event->cursor, cursor, sizeof cursor, NULL) != LIBCHAT_OK)
        return LIBCHAT_STOP;
    fprintf(ledger, "%s ", cursor);
    write_text(ledger, libchat_message_sender(event->message), '\t');
    write_text(ledger, libchat_message_body(event->message), '\n');
    return fflush(ledger) == 0 && !ferror(ledger) ? LIBCHAT_CONTINUE : LIBCHAT_STOP;
}

static void on_done(uint64_t watch, libchat_status status, const libchat_error *err, void *ledger)
{
    (void)watch;
    if (status != LIBCHAT_END) /* which is what STOP gives */
        fprintf(stderr, "resume: %s\n", libchat_error_message(err));
    if (ferror(ledger))
        fprintf(stderr, "resume: the ledger cannot be written\n");
}

int main(int argc, char **argv)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_watch_options watch_options = LIBCHAT_INIT(libchat_watch_options);
    libchat_conn conn;
    libchat_manager manager;
    libchat_watch watch;
    libchat_error *err;

    if (argc < 2) {
        fprintf(stderr, "usage: resume LEDGER [PROJECT [AGENT]]\n");
        return 2;
    }
    options.project = argc > 2 ? argv[2] : "demo";
    options.agent_id = argc > 3 ? argv[3] : "ana";
    watch_options.on_event = on_event;
    watch_options.on_done = on_done;
    watch_options.user_data = open_ledger(argv[1], &watch_options.cursor);
    watch_options.start = watch_options.cursor.seq ? LIBCHAT_START_AFTER : LIBCHAT_START_ALL;
    check(libchat_connect(NULL, &conn, &err), &err);
    check(libchat_open(conn, &options, &manager, &err), &err);
    check(libchat_watch_all(manager, &watch_options, &watch, &err), &err);
    printf("after number %llu\n", (unsigned long long)watch_options.cursor.seq);
    fflush(stdout);
    check(libchat_watch_join(watch, LIBCHAT_INFINITE, &err), &err); /* for ever, if all is well */
    return 1;
}
