#include "support.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { PATIENCE_S = 120 };

const char *folder;
char url[512];
_Thread_local struct failure failure;

static _Thread_local libchat_error *error_slot;
static _Thread_local bool error_is_fresh;
static char unwritten;
#define UNWRITTEN ((libchat_error *)(void *)&unwritten)

/* For whoever wonders where a program hangs: the alarm comes to the main thread. */
static _Thread_local char last_place[256];

static void on_alarm(int number)
{
    static const char text[] = "hangs; the last call that returned was at ";
    (void)number;
    if (write(2, text, sizeof text - 1) < 0 || write(2, last_place, strlen(last_place)) < 0 ||
        write(2, "\n", 1) < 0)
        _exit(1);
    _exit(1);
}

void begin_without_server(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_alarm};

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        exit(2);
    }
    folder = argv[1];
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    alarm((unsigned)(PATIENCE_S * slow()));
    CHECK(libchat_abi_compatible(LIBCHAT_ABI));
}

void begin(int argc, char **argv)
{
    begin_without_server(argc, argv);
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
}

int end(void)
{
    wait_until_threads(0);
    OK(libchat_local_server_stop(folder, ERR));
    fflush(stdout);
    return 0;
}

/* Checks. */

void fail(const char *file, int line, const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, why ? ": " : "", why ? why : "");
    _exit(1);
}

void check_eq(const char *file, int line, const char *what, long long wanted, long long found)
{
    char why[64];

    snprintf(why, sizeof why, "is %lld, not %lld", found, wanted);
    if (wanted != found)
        fail(file, line, what, why);
}

void check_text(const char *file, int line, const char *what, const char *wanted,
                libchat_bytes found)
{
    char why[256];

    if (found.data && found.len == strlen(wanted) && !memcmp(found.data, wanted, found.len) &&
        found.data[found.len] == 0)
        return;
    snprintf(why, sizeof why, "is \"%.*s\" (%zu bytes), not \"%s\"",
             (int)(found.len < 80 ? found.len : 80),
             found.data ? (const char *)found.data : "", found.len, wanted);
    fail(file, line, what, why);
}

libchat_error **fresh_error(void)
{
    error_slot = UNWRITTEN;
    error_is_fresh = true;
    return &error_slot;
}

static bool is_failure(libchat_status status)
{
    return status != LIBCHAT_OK && status != LIBCHAT_END && status != LIBCHAT_EMPTY;
}

static void note(const libchat_error *error)
{
    memset(&failure, 0, sizeof failure);
    if (!error)
        return;
    failure.code = libchat_error_code(error);
    snprintf(failure.text, sizeof failure.text, "%s", libchat_error_message(error));
    snprintf(failure.hint, sizeof failure.hint, "%s", libchat_error_hint(error));
    snprintf(failure.id, sizeof failure.id, "%s", libchat_error_id(error));
    snprintf(failure.remote_code, sizeof failure.remote_code, "%s",
             libchat_error_remote_code(error));
    failure.server_code = libchat_error_server_code(error);
    failure.retryable = libchat_error_is_retryable(error);
}

void check_error(libchat_status status, const libchat_error *error)
{
    note(error);
    if (is_failure(status)) {
        CHECK(error != NULL);
        CHECK_EQ(status, failure.code);
        CHECK(failure.text[0] != 0);
        CHECK(!strchr(failure.text, '\n'));
    } else {
        CHECK(error == NULL);
    }
}

libchat_status expect(const char *file, int line, const char *call, libchat_status wanted,
                      libchat_status found)
{
    char why[1280];

    snprintf(last_place, sizeof last_place, "%s:%d: %.200s", file, line, call);
    memset(&failure, 0, sizeof failure);
    if (error_is_fresh) {
        error_is_fresh = false;
        if (error_slot == UNWRITTEN)
            fail(file, line, call, "*err was not written");
        note(error_slot);
        if (is_failure(found) != (error_slot != NULL) || failure.code != (error_slot ? found : 0))
            fail(file, line, call, "*err does not fit the status");
        if (error_slot && !failure.text[0])
            fail(file, line, call, "an error without a text");
        libchat_error_free(error_slot);
    }
    if (found != wanted) {
        snprintf(why, sizeof why, "%s, not %s: %s", libchat_status_name(found),
                 libchat_status_name(wanted), failure.text);
        fail(file, line, call, why);
    }
    return found;
}

/* Waiting. */

long counter_add(struct counter *counter, long more)
{
    long value;

    pthread_mutex_lock(&counter->mutex);
    value = counter->value += more;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->mutex);
    return value;
}

void counter_wait(struct counter *counter, long at_least)
{
    pthread_mutex_lock(&counter->mutex);
    while (counter->value < at_least)
        pthread_cond_wait(&counter->changed, &counter->mutex);
    pthread_mutex_unlock(&counter->mutex);
}

long counter_value(struct counter *counter)
{
    long value;

    pthread_mutex_lock(&counter->mutex);
    value = counter->value;
    pthread_mutex_unlock(&counter->mutex);
    return value;
}

pthread_t thread_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, run, argument) == 0);
    return thread;
}

void thread_join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

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
    long named;

    for (;;) {
        all_threads(getpid(), 0, &named);
        if (named == wanted)
            return;
        snprintf(last_place, sizeof last_place, "%ld libchat threads, not %ld", named, wanted);
        look_again_soon();
    }
}

bool is_callback_thread(void)
{
    char name[32] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    return !strncmp(name, "libchat-call", 12);
}

double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

long slow(void)
{
    const char *factor = getenv("LIBCHAT_TEST_SLOW");

    return factor && atol(factor) > 0 ? atol(factor) : 1;
}

long rounds(long full)
{
    return full / slow() > 0 ? full / slow() : 1;
}

bool is_long(void)
{
    return getenv("LIBCHAT_TEST_LONG") != NULL;
}

void figure(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("figure: ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* What nearly every test does. */

libchat_conn connect_here(void)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_conn conn;

    options.servers = url;
    OK(libchat_connect(&options, &conn, ERR));
    CHECK(conn != 0);
    return conn;
}

libchat_manager open_as(libchat_conn conn, const char *agent)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_manager manager;

    options.agent_id = agent;
    options.project = "demo";
    OK(libchat_open(conn, &options, &manager, ERR));
    CHECK(manager != 0);
    return manager;
}

void close_conn(libchat_conn conn)
{
    OK(libchat_conn_close(conn, LIBCHAT_INFINITE, ERR));
}

libchat_bytes text(const char *body)
{
    return (libchat_bytes){(const uint8_t *)body, strlen(body)};
}

libchat_receipt send_text(libchat_manager manager, const char *thread, const char *body)
{
    libchat_receipt receipt;

    OK(libchat_send(manager, thread, text(body), NULL, &receipt, ERR));
    return receipt;
}

void send_numbers(libchat_manager manager, const char *thread, long count)
{
    char body[24];

    for (long n = 0; n < count; n++) {
        snprintf(body, sizeof body, "%ld", n);
        send_text(manager, thread, body);
    }
}

long number_of(const libchat_message *message)
{
    return atol((const char *)libchat_message_body(message).data);
}

const libchat_events *read_all(libchat_manager manager, const char *thread)
{
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    const libchat_events *events;

    options.limit = 100000;
    OK(libchat_history(manager, thread, &options, &events, ERR));
    CHECK(!libchat_events_truncated(events, NULL));
    return events;
}

size_t stored(libchat_manager manager, const char *thread)
{
    const libchat_events *events = read_all(manager, thread);
    size_t count = libchat_events_len(events);

    libchat_events_release(events);
    return count;
}

const libchat_event *next_of(libchat_watch watch, libchat_event_kind kind,
                             const libchat_events **in)
{
    for (;;) {
        OK(libchat_watch_take(watch, 1, LIBCHAT_INFINITE, in, ERR));
        const libchat_event *event = libchat_events_get(*in, 0);
        if (event->kind == kind)
            return event;
        libchat_events_release(*in);
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
