/*
 * The server of a folder: started, found again, stopped; started from a callback too, whose blocked
 * signals it must not inherit; and what cannot be started.
 */
#include "support.h"

#include <sys/wait.h>

static struct counter started = COUNTER;
static char inner[4096];

static void starts_is_found_and_stops(void)
{
    char again[512], small[8];
    pid_t pid = server_pid();
    siginfo_t how;

    CHECK(!strncmp(url, "nats://", 7) && strchr(url, '@') && strstr(url, "@127.0.0.1:"));
    OK(libchat_local_server_start(folder, again, sizeof again, ERR));
    CHECK(!strcmp(url, again));
    CHECK_EQ(pid, server_pid());
    OK(libchat_local_server_start(folder, NULL, 0, ERR));
    memset(small, 0x7e, sizeof small);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_local_server_start(folder, small, 7, ERR));
    CHECK_EQ(0x7e, small[7]);
    CHECK(memchr(small, 0, sizeof small) != NULL);
    OK(libchat_local_server_stop(folder, ERR));
    /* It has ended; libchat, whose child it was, collects it now or by a later call. */
    CHECK(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
    OK(libchat_local_server_stop(folder, ERR));
    OK(libchat_local_server_start(folder, again, sizeof again, ERR));
    CHECK(!strcmp(url, again)); /* port and password are those of the last time */
    CHECK(server_pid() != pid);
}

/* The mask of blocked signals that a process of this id runs with. */
static uint64_t blocked_in(pid_t pid)
{
    char path[64], line[256];
    uint64_t blocked = UINT64_MAX;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) && sscanf(line, "SigBlk: %" SCNx64, &blocked) != 1)
        ;
    fclose(file);
    return blocked;
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    const char *outer = folder;

    (void)watch, (void)event, (void)user_data;
    OK(libchat_local_server_start(inner, NULL, 0, ERR));
    folder = inner;
    CHECK_EQ(0, blocked_in(server_pid()) & 1u << (SIGTERM - 1));
    folder = outer;
    double begun = now_ms();
    OK(libchat_local_server_stop(inner, ERR));
    CHECK(now_ms() - begun < 4000.0 * (double)slow()); /* asked to end, and not killed after 5 s */
    counter_add(&started, 1);
    return LIBCHAT_STOP;
}

static void from_a_callback(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_conn conn = connect_here();
    libchat_watch watch;

    options.on_event = on_event;
    OK(libchat_watch_thread(open_as(conn, "ana"), "plan", &options, &watch, ERR));
    counter_wait(&started, 1);
    close_conn(conn);
}

static void what_cannot_be_started(void)
{
    char path[4096], address[512];

    memset(address, 0x7e, sizeof address);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_local_server_start(NULL, address, sizeof address, ERR));
    CHECK_EQ(0, address[0]);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_local_server_stop(NULL, ERR));
    snprintf(path, sizeof path, "%s/nowhere", folder);
    EXPECT(LIBCHAT_ERR_SYSTEM, libchat_local_server_start(path, address, sizeof address, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_local_server_start("\xff", address, sizeof address, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_local_server_start(inner, NULL, sizeof address, ERR));
    CHECK(setenv("LIBCHAT_NATS_SERVER", "/nowhere/nats-server", 1) == 0);
    EXPECT(LIBCHAT_ERR_NOT_FOUND,
           libchat_local_server_start(inner, address, sizeof address, ERR));
    CHECK(failure.hint[0] != 0);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    snprintf(inner, sizeof inner, "%s/inner-XXXXXX", folder);
    CHECK(mkdtemp(inner) != NULL);
    starts_is_found_and_stops();
    from_a_callback();
    what_cannot_be_started();
    return end();
}
