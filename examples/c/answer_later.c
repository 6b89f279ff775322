/*
 * Answers from another thread than the one that is asked: answer_later [PROJECT [AGENT]]
 *
 * Gives each question back in capitals, until its input ends. To try it:
 * libchat -p demo ask ben "who?"
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <libchat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one thread hands the other through a pipe, in one piece. */
struct question {
    libchat_request_id id;
    size_t len;
    char text[256];
};
static int desk[2]; /* the pipe: on_request writes to desk[1], the worker reads from desk[0] */

static void check(libchat_status status, libchat_error **err)
{
    if (status == LIBCHAT_OK)
        return;
    fprintf(stderr, "answer_later: %s\n", libchat_error_message(*err));
    exit(1);
}

/* On a thread of libchat: copies what it keeps, and returns. */
static void on_request(libchat_responder responder, const libchat_incoming *incoming, void *unused)
{
    struct question question = { incoming->id, incoming->payload.len, "" };

    (void)responder, (void)unused;
    if (question.len > sizeof question.text) {
        libchat_request_fail(question.id, "too-long", "256 bytes at most", NULL);
        return;
    }
    memcpy(question.text, incoming->payload.data, question.len);
    if (write(desk[1], &question, sizeof question) != (ssize_t)sizeof question)
        libchat_request_fail(question.id, "busy", "ask again later", NULL);
}

/* On a thread of ours, as late as it likes, until nobody writes any more. */
static void *work(void *unused)
{
    struct question question;
    libchat_error *err;

    while (read(desk[0], &question, sizeof question) == (ssize_t)sizeof question) {
        libchat_bytes answer = { (const uint8_t *)question.text, question.len };

        for (size_t i = 0; i < question.len; i++)
            question.text[i] = (char)toupper((unsigned char)question.text[i]);
        if (libchat_request_reply(question.id, answer, &err) == LIBCHAT_OK) {
            printf("%.*s\n", (int)question.len, question.text);
            fflush(stdout);
        } else { /* who asked may have given up: no reason to end */
            fprintf(stderr, "answer_later: %s\n", libchat_error_message(err));
            libchat_error_free(err);
        }
    }
    return unused;
}

int main(int argc, char **argv)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_respond_options respond = LIBCHAT_INIT(libchat_respond_options);
    libchat_conn conn;
    libchat_manager manager;
    libchat_responder responder;
    libchat_error *err;
    pthread_t worker;

    options.project = argc > 1 ? argv[1] : "demo";
    options.agent_id = argc > 2 ? argv[2] : "ben";
    respond.on_request = on_request;
    respond.concurrency = 16; /* so many may wait for their answers at once */
    if (pipe(desk) != 0 || pthread_create(&worker, NULL, work, NULL) != 0) {
        fputs("answer_later: there is no pipe or no thread left\n", stderr);
        return 1;
    }
    check(libchat_connect(NULL, &conn, &err), &err);
    check(libchat_open(conn, &options, &manager, &err), &err);
    check(libchat_answer(manager, &respond, &responder, &err), &err);
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    libchat_responder_stop(responder);
    check(libchat_responder_join(responder, 30000, &err), &err); /* until all is answered */
    close(desk[1]);
    pthread_join(worker, NULL);
    check(libchat_conn_close(conn, 2000, &err), &err);
    return 0;
}
