/*
 * libchat is a quiet guest: it starts no thread before it is used, all of its threads have all
 * signals blocked, and it installs no handler. Point 16 of the contract.
 */
#include "support.h"

#include <dirent.h>

static struct counter heard = COUNTER;
static struct sigaction before[65], after[65];
static atomic_int handled;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
}

static void note_handlers(struct sigaction *actions)
{
    memset(actions, 0, 65 * sizeof *actions);
    for (int number = 1; number <= 64; number++)
        sigaction(number, NULL, &actions[number]); /* refused for a few, which stay empty */
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    sigset_t blocked;

    (void)watch, (void)event, (void)user_data;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
            CHECK(sigismember(&blocked, number) == 1);
    counter_add(&heard, 1);
    return LIBCHAT_CONTINUE;
}

/* What /proc says of a thread of this process; "" where there is none any more. */
static void read_of_thread(const char *thread, const char *what, const char *format, void *value)
{
    char path[320], line[256];
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%s/%s", thread, what);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, format, value) != 1)
        ;
    if (file)
        fclose(file);
}

/* Signal n is bit n - 1; KILL and STOP cannot be blocked, 32 and 33 are the C library's own, and 64
 * is valgrind's under valgrind. */
static int threads_with_all_blocked(void)
{
    const uint64_t others = 1u << (SIGKILL - 1) | 1u << (SIGSTOP - 1) | (uint64_t)3 << 31 |
                            (slow() > 1 ? (uint64_t)1 << 63 : 0);
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks))) {
        char name[32] = "";
        uint64_t blocked = 0;
        if (entry->d_name[0] == '.')
            continue;
        read_of_thread(entry->d_name, "comm", "%31s", name);
        if (strncmp(name, "libchat-", 8) != 0)
            continue;
        CHECK(!strcmp(name, "libchat-io") || !strcmp(name, "libchat-call") ||
              !strcmp(name, "libchat-close"));
        read_of_thread(entry->d_name, "status", "SigBlk: %" SCNx64, &blocked);
        CHECK_EQ(-1, (int64_t)(blocked | others));
        count++;
    }
    closedir(tasks);
    return count;
}

/* With every thread of the host's blocking it, a signal to the process stays pending. */
static void nobody_takes_the_hosts_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t usr1, pending;
    int number;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int n = 0; n < 100; n++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
        CHECK(sigwait(&usr1, &number) == 0 && number == SIGUSR1);
    }
    CHECK_EQ(0, atomic_load(&handled));
    signal(SIGUSR1, SIG_DFL);
}

static int threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(tasks)))
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

int main(int argc, char **argv)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    int at_first = threads_now();
    begin(argc, argv);
    CHECK_EQ(1, at_first);
    note_handlers(before);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");
    options.on_event = on_event;
    OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    send_text(manager, "plan", "x");
    counter_wait(&heard, 2);
    CHECK(threads_with_all_blocked() >= 2);
    note_handlers(after);
    for (int number = 1; number <= 64; number++)
        CHECK(before[number].sa_handler == after[number].sa_handler);
    nobody_takes_the_hosts_signal();
    close_conn(conn);
    return end();
}
