/*
 * Whoever exits with everything open leaves nothing but memory behind: no crash, no hang, whichever
 * way the process ends and whichever thread ends it. Point 16 of the contract.
 *
 * The program runs itself again for each way, since a process can exit only once; this also shows
 * that a child may use libchat after exec.
 */
#include "support.h"

#include <sys/wait.h>

static struct counter heard = COUNTER, sent = COUNTER, blocked = COUNTER, never = COUNTER;
static bool exit_from_event, block_in_event;

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)event, (void)user_data;
    counter_add(&heard, 1);
    if (exit_from_event)
        exit(0);
    if (block_in_event) {
        counter_add(&blocked, 1);
        counter_wait(&never, 1);
    }
    return LIBCHAT_CONTINUE;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)incoming, (void)user_data;
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)status, (void)receipt, (void)error, (void)user_data;
    counter_add(&sent, 1);
}

static void *wait_for_events(void *argument)
{
    const libchat_events *events;

    for (;;)
        if (libchat_watch_take(*(libchat_watch *)argument, 10, LIBCHAT_INFINITE, &events, NULL) ==
            LIBCHAT_OK)
            libchat_events_release(events);
    return NULL;
}

static libchat_watch pulls;

static void open_everything(void)
{
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    libchat_manager manager = open_as(connect_here(), "ana");
    libchat_responder responder;
    libchat_watch calls;
    ptrdiff_t fd;

    watching.start = LIBCHAT_START_ALL;
    watching.on_event = on_event;
    OK(libchat_watch_thread(manager, "plan", &watching, &calls, ERR));
    OK(libchat_watch_all(manager, NULL, &pulls, ERR));
    OK(libchat_watch_fd(pulls, &fd, ERR));
    responding.on_request = on_request;
    OK(libchat_answer(manager, &responding, &responder, ERR));
    thread_start(wait_for_events, &pulls);
    for (int n = 0; n < 500; n++)
        OK(libchat_send_async(manager, "plan", text("x"), NULL, on_sent, NULL, ERR));
}

static int leave(const char *way)
{
    exit_from_event = !strcmp(way, "exit from a callback");
    block_in_event = !strcmp(way, "return beside a blocked callback");
    open_everything();
    if (exit_from_event)
        counter_wait(&never, 1);
    if (block_in_event)
        counter_wait(&blocked, 1);
    else
        counter_wait(&heard, 5);
    if (!strcmp(way, "_exit"))
        _exit(0);
    if (!strcmp(way, "return when all is sent"))
        counter_wait(&sent, 500);
    return 0; /* from main */
}

static void leave_in_a_child(char *self, const char *way)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        execl(self, self, folder, way, url, (char *)NULL);
        _exit(127);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(__FILE__, __LINE__, way, "did not exit with 0");
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {"return from main", "_exit", "exit from a callback",
                                       "return beside a blocked callback",
                                       "return when all is sent"};

    if (argc == 4) {
        begin_without_server(argc, argv);
        snprintf(url, sizeof url, "%s", argv[3]);
        return leave(argv[2]);
    }
    begin(argc, argv);
    for (int way = 0; way < 5; way++)
        for (long n = rounds(10); n > 0; n--)
            leave_in_a_child(argv[0], ways[way]);
    return end();
}
