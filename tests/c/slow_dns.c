/*
 * The resolver hangs, as it does on a machine without a network: connecting still ends by its
 * deadline and by its token, and a failed connect leaves no trace once the resolver is back.
 */
#include "support.h"

#include <dlfcn.h>
#include <netdb.h>

static struct counter asked = COUNTER, answers = COUNTER;
static atomic_bool hangs;

/* In front of the C library's, for libchat too. */
int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &symbol, sizeof real);
    if (atomic_load(&hangs)) {
        counter_add(&asked, 1);
        counter_wait(&answers, 1);
        return EAI_AGAIN;
    }
    return real(node, service, hints, found);
}

struct attempt {
    libchat_cancel cancel;
    uint32_t timeout_ms;
    libchat_status wanted;
    atomic_bool returned;
};

static void *connect_by_name(void *argument)
{
    struct attempt *attempt = argument;
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_conn conn;

    options.servers = "nats://a.host.that.is.not.there.invalid:4222";
    options.cancel = attempt->cancel;
    options.timeout_ms = attempt->timeout_ms;
    EXPECT(attempt->wanted, libchat_connect(&options, &conn, ERR));
    CHECK(conn == 0);
    atomic_store(&attempt->returned, true);
    return NULL;
}

/* It must return while the resolver still hangs. */
static void wait_for_return(struct attempt *attempt, double limit_ms)
{
    double begun = now_ms();

    while (!atomic_load(&attempt->returned)) {
        CHECK(now_ms() - begun < limit_ms * (double)slow());
        sched_yield();
    }
}

int main(int argc, char **argv)
{
    struct attempt late = {.timeout_ms = 200, .wanted = LIBCHAT_ERR_DISCONNECTED};
    struct attempt cancelled = {.timeout_ms = 100000, .wanted = LIBCHAT_ERR_CANCELLED};

    begin(argc, argv);
    atomic_store(&hangs, true);
    pthread_t thread = thread_start(connect_by_name, &late);
    counter_wait(&asked, 1);
    wait_for_return(&late, 2200);
    thread_join(thread);

    OK(libchat_cancel_new(&cancelled.cancel, ERR));
    thread = thread_start(connect_by_name, &cancelled);
    counter_wait(&asked, 2);
    OK(libchat_cancel_fire(cancelled.cancel));
    wait_for_return(&cancelled, 1000);
    thread_join(thread);
    OK(libchat_cancel_close(cancelled.cancel));

    counter_add(&answers, 1);
    wait_until_threads(0);
    atomic_store(&hangs, false);
    libchat_conn conn = connect_here();
    close_conn(conn);
    return end();
}
