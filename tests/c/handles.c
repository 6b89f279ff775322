/*
 * Handles that are no handles: of another kind, random, altered, long closed. Always a status,
 * never a crash; and a million tokens and a thousand managers come and go without one being
 * mistaken for another.
 */
#include "verbs.h"

static libchat_conn conn;
static libchat_manager manager;
static uint64_t by_kind[REQUEST + 1];
static struct counter requests = COUNTER;

static void keep_request(libchat_responder responder, const libchat_incoming *incoming,
                         void *user_data)
{
    (void)responder, (void)user_data;
    by_kind[REQUEST] = incoming->id;
    counter_add(&requests, 1);
}

static void *ask(void *argument)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *reply;

    (void)argument;
    options.timeout_ms = 600000;
    OK(libchat_ask(manager, "ana", text("?"), &options, &reply, ERR));
    libchat_reply_release(reply);
    return NULL;
}

static void wrong_kinds(void)
{
    for (int n = 0; n < VERBS; n++)
        for (int kind = CONN; kind <= REQUEST; kind++)
            if ((int)verbs[n].kind != kind)
                expect_verb(&verbs[n], by_kind[kind], LIBCHAT_ERR_INVALID_HANDLE,
                            LIBCHAT_ERR_INVALID_HANDLE);
}

/* xorshift64*: the same numbers in each run. */
static uint64_t random_number(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

static bool is_live(uint64_t handle)
{
    for (int kind = CONN; kind <= REQUEST; kind++)
        if (by_kind[kind] == handle)
            return true;
    return false;
}

static void no_handles(void)
{
    static const uint64_t special[] = {1, 2, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 1,
                                       (uint64_t)1 << 63};
    const int specials = sizeof special / sizeof *special;

    for (int n = 0; n < VERBS; n++) {
        for (int i = 0; i < specials; i++)
            expect_verb(&verbs[n], special[i], LIBCHAT_ERR_INVALID_HANDLE,
                        LIBCHAT_ERR_INVALID_HANDLE);
        for (long i = rounds(2000); i > 0; i--)
            expect_verb(&verbs[n], random_number(), LIBCHAT_ERR_INVALID_HANDLE,
                        verbs[n].closes ? LIBCHAT_OK : LIBCHAT_ERR_CLOSED);
    }
}

/* One bit off: perhaps a handle that was closed before, by its look; never one that is open. */
static void altered_handles(void)
{
    for (int n = 0; n < VERBS; n++) {
        for (int bit = 0; bit < 64; bit++) {
            uint64_t handle = by_kind[verbs[n].kind] ^ (uint64_t)1 << bit;
            if (!is_live(handle))
                expect_verb(&verbs[n], handle, LIBCHAT_ERR_INVALID_HANDLE,
                            verbs[n].closes ? LIBCHAT_OK : LIBCHAT_ERR_CLOSED);
        }
    }
}

/* In the place of an option it is refused like elsewhere; 0 is no token. */
static void tokens_in_options(libchat_cancel closed)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    const struct {
        libchat_cancel cancel;
        libchat_status wanted;
    } cases[] = {{closed, LIBCHAT_ERR_CLOSED},
                 {manager, LIBCHAT_ERR_INVALID_HANDLE},
                 {UINT64_MAX, LIBCHAT_ERR_INVALID_HANDLE},
                 {0, LIBCHAT_OK}};

    for (int n = 0; n < 4; n++) {
        options.cancel = cases[n].cancel;
        EXPECT(cases[n].wanted, libchat_send(manager, "tokens", text("x"), &options, NULL, ERR));
    }
    CHECK_EQ(1, stored(manager, "tokens"));
}

static libchat_cancel many_tokens(long count)
{
    enum { HELD = 64 };
    libchat_cancel held[HELD] = {0}, token = 0;
    double begun = now_ms();

    for (long n = 0; n < count; n++) {
        int place = (int)(random_number() % HELD);
        libchat_cancel old = held[place];
        OK(libchat_cancel_close(old));
        if (old)
            EXPECT(LIBCHAT_ERR_CLOSED, libchat_cancel_fire(old));
        OK(libchat_cancel_new(&token, ERR));
        CHECK(token && token >> 63 == 0 && token != old);
        held[place] = token;
        if (old) /* also when its place is taken again */
            EXPECT(LIBCHAT_ERR_CLOSED, libchat_cancel_fire(old));
        int other = (int)(random_number() % HELD);
        if (held[other])
            OK(libchat_cancel_fire(held[other])); /* whatever came and went beside it */
    }
    for (int n = 0; n < HELD; n++)
        OK(libchat_cancel_close(held[n]));
    figure("%ld cancel tokens opened and closed in %.0f ms", count, now_ms() - begun);
    return token;
}

static void many_managers(long count)
{
    libchat_manager first = 0, one = 0;
    double begun = now_ms();

    for (long n = 0; n < count; n++) {
        one = open_as(conn, "eve");
        if (!first)
            first = one;
        CHECK(n == 0 || one != first);
        if (n > 0) /* it is not taken for the one that is open now */
            EXPECT(LIBCHAT_ERR_CLOSED, libchat_send(first, "plan", text("x"), NULL, NULL, ERR));
        OK(libchat_manager_close(one, LIBCHAT_INFINITE, ERR));
        EXPECT(LIBCHAT_ERR_CLOSED, libchat_send(one, "plan", text("x"), NULL, NULL, ERR));
    }
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_send(first, "plan", text("x"), NULL, NULL, ERR));
    figure("%ld managers opened and closed in %.0f ms", count, now_ms() - begun);
}

/* Every live one at once, in two halves. */
static void many_live_managers(long count)
{
    libchat_manager *all = calloc((size_t)count, sizeof *all);

    CHECK(all != NULL);
    for (long n = 0; n < count; n++)
        all[n] = open_as(conn, "eve");
    for (long n = 0; n < count; n += 2)
        OK(libchat_manager_close(all[n], LIBCHAT_INFINITE, ERR));
    for (long n = 0; n < count; n++)
        EXPECT(n % 2 ? LIBCHAT_OK : LIBCHAT_ERR_CLOSED,
               libchat_send(all[n], "plan", text("x"), NULL, NULL, ERR));
    free(all); /* the other half ends with the connection */
}

int main(int argc, char **argv)
{
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);

    begin(argc, argv);
    by_kind[CONN] = conn = connect_here();
    by_kind[MANAGER] = manager = open_as(conn, "ana");
    options.on_request = keep_request;
    options.answer_timeout_ms = 600000;
    OK(libchat_answer(manager, &options, &by_kind[RESPONDER], ERR));
    OK(libchat_watch_all(manager, NULL, &by_kind[WATCH], ERR));
    OK(libchat_cancel_new(&by_kind[CANCEL], ERR));
    pthread_t thread = thread_start(ask, NULL);
    counter_wait(&requests, 1);

    wrong_kinds();
    no_handles();
    altered_handles();
    libchat_cancel closed = many_tokens(rounds(1000000));
    tokens_in_options(closed);
    many_managers(rounds(1000));
    many_live_managers(rounds(200));

    /* What was open all the time still is. */
    OK(libchat_cancel_fire(by_kind[CANCEL]));
    OK(libchat_request_reply(by_kind[REQUEST], text("late but in time"), ERR));
    thread_join(thread);
    OK(libchat_watch_stop(by_kind[WATCH]));
    OK(libchat_cancel_close(by_kind[CANCEL]));
    close_conn(conn);
    return end();
}
