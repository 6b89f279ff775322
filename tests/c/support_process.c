/* What only the kernel knows of this process, and the server as a process and a socket. */
#include "support.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* For conditions that only the kernel knows of, which cannot be waited for otherwise. */
static void look_again_soon(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The state letter of a thread, or 0 if there is none. */
static char state_of(pid_t process, pid_t thread)
{
    char path[64], line[512];
    const char *after;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)process, (int)thread);
    file = fopen(path, "r");
    if (!file)
        return 0;
    after = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    return after ? after[2] : 0;
}

void wait_until_asleep(pid_t thread)
{
    while (state_of(getpid(), thread) != 'S')
        look_again_soon();
}

/* Threads of a process: all in `state`, where one is given; else those named as libchat's are. */
static bool all_threads(pid_t process, char state, long *named)
{
    char path[320], name[32];
    struct dirent *entry;
    bool all = true;
    DIR *tasks;

    *named = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] == '.')
            continue;
        all = all && state_of(process, (pid_t)atoi(entry->d_name)) == state;
        snprintf(path, sizeof path, "/proc/%d/task/%s/comm", (int)process, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file) && !strncmp(name, "libchat-", 8))
            ++*named;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return tasks && all;
}

void wait_until_threads(long wanted)
{
    char what[64];
    long named;

    for (;;) {
        all_threads(getpid(), 0, &named);
        if (named == wanted)
            return;
        snprintf(what, sizeof what, "%ld libchat threads, not %ld", named, wanted);
        note_place(__FILE__, __LINE__, what);
        look_again_soon();
    }
}

/* The server as a process. */

pid_t server_pid(void)
{
    char path[4096], hub[4096] = "";
    const char *pid;
    FILE *file;

    snprintf(path, sizeof path, "%s/.libchat/hub.json", folder);
    file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK(fread(hub, 1, sizeof hub - 1, file) > 0);
    fclose(file);
    pid = strstr(hub, "\"pid\":");
    CHECK(pid != NULL && atoi(pid + 6) > 0);
    return (pid_t)atoi(pid + 6);
}

void server_signal(int number)
{
    pid_t pid = server_pid();
    siginfo_t how;
    long ignored;

    CHECK(kill(pid, number) == 0);
    while (number == SIGSTOP && !all_threads(pid, 'T', &ignored))
        look_again_soon();
    /* It stays a zombie, for libchat to reap: it is libchat's child. */
    if (number == SIGKILL)
        CHECK(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT) == 0);
}

long server_unread(void)
{
    unsigned port = (unsigned)atoi(strrchr(url, ':') + 1), local, state;
    unsigned long unread, sum = 0;
    char line[512];
    FILE *file = fopen("/proc/net/tcp", "r");

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%*s %*x:%x %*x:%*x %x %*x:%lx", &local, &state, &unread) == 3 &&
            local == port && state == 1)
            sum += unread;
    fclose(file);
    return (long)sum;
}

static int raw_socket(char *user, char *password)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int port, raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(sscanf(url, "nats://%99[^:]:%99[^@]@127.0.0.1:%d", user, password, &port) == 3);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(raw >= 0 && connect(raw, (struct sockaddr *)&address, sizeof address) == 0);
    return raw;
}

void raw_request(const char *subject, const char *payload, char *answer, size_t size)
{
    char user[100], password[100], got[65536];
    int raw = raw_socket(user, password);
    FILE *in = fdopen(raw, "r");
    unsigned long length = 0;

    CHECK(in != NULL);
    dprintf(raw, "CONNECT {\"user\":\"%s\",\"pass\":\"%s\",\"verbose\":false}\r\n", user, password);
    dprintf(raw, "SUB _RAW.1 1\r\nPUB %s _RAW.1 %zu\r\n%s\r\n", subject, strlen(payload), payload);
    do {
        CHECK(fgets(got, sizeof got, in) != NULL);
        if (!strncmp(got, "PING", 4))
            dprintf(raw, "PONG\r\n");
        if (!strncmp(got, "-ERR", 4))
            fail(__FILE__, __LINE__, subject, got);
    } while (sscanf(got, "MSG _RAW.1 1 %lu", &length) != 1);
    CHECK(length < size && fread(answer, 1, length, in) == length);
    answer[length] = 0;
    fclose(in);
}

long raw_store(const char *thread, const char *payload)
{
    char subject[32] = "chat.demo.", id[9], answer[512];
    const char *seq;

    OK(libchat_thread_short("demo", thread, id, ERR));
    strcat(subject, id);
    raw_request(subject, payload, answer, sizeof answer);
    seq = strstr(answer, "\"seq\":");
    if (!seq)
        fail(__FILE__, __LINE__, subject, answer);
    return atol(seq + 6);
}
