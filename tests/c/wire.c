/*
 * Thread shorts as the original makes them (tests/wire/thread_hash.json, or the same file in the
 * folder that LIBCHAT_WIRE_VECTORS names), and INVALID_ARGUMENT for names that may not be.
 *
 * The scanner reads that file's own form: one member a line, strings in base64.
 */
#include "support.h"

#include <ctype.h>

enum { NAME_MAX_ = 65536 };

struct vector {
    char name[NAME_MAX_], project[NAME_MAX_], id[16];
    size_t name_len, project_len;
};

static size_t decode(const char *base64, char *out)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    size_t length = 0;

    for (; *base64 && *base64 != '='; base64++) {
        const char *digit = strchr(digits, *base64);
        CHECK(digit != NULL);
        bits = bits << 6 | (unsigned)(digit - digits);
        count += 6;
        if (count >= 8)
            out[length++] = (char)(bits >> (count -= 8) & 0xff);
    }
    out[length] = 0;
    return length;
}

/* Whether the line is `"<key>": "<value>"`. */
static bool member(const char *line, const char *key, char *value, size_t size)
{
    char start[32];

    snprintf(start, sizeof start, "\"%s\": \"", key);
    const char *at = strstr(line, start);
    if (!at)
        return false;
    at += strlen(start);
    const char *end = strchr(at, '"');
    CHECK(end != NULL && (size_t)(end - at) < size);
    memcpy(value, at, (size_t)(end - at));
    value[end - at] = 0;
    return true;
}

static bool is_utf8(const char *bytes, size_t length)
{
    /* libchat itself says so of a body, at its first bad byte: here it is known by counting. */
    for (size_t n = 0; n < length;) {
        unsigned char head = (unsigned char)bytes[n];
        size_t more = head < 0x80 ? 0 : head >= 0xf0 ? 3 : head >= 0xe0 ? 2 : 1;
        if ((head >= 0x80 && head < 0xc2) || head > 0xf4 || n + more >= length)
            return false;
        for (size_t i = 1; i <= more; i++)
            if (((unsigned char)bytes[n + i] & 0xc0) != 0x80)
                return false;
        n += more + 1;
    }
    return true;
}

/* The rule for projects; vectors have no blanks beyond ASCII. */
static bool may_be_a_project(const char *name)
{
    if (!*name || *name == '$' || strlen(name) > 250)
        return false;
    for (; *name; name++)
        if (strchr(".*>/\\", *name) || isspace((unsigned char)*name) ||
            iscntrl((unsigned char)*name))
            return false;
    return true;
}

/* Gives whether it was one to be accepted. */
static bool check(const struct vector *vector)
{
    bool good = may_be_a_project(vector->project) && vector->name[0] &&
                is_utf8(vector->project, vector->project_len) &&
                is_utf8(vector->name, vector->name_len);
    char out[9];

    if (strlen(vector->name) != vector->name_len)
        return false; /* a NUL in it: not to be said in C */
    memset(out, 0x7e, sizeof out);
    EXPECT(good ? LIBCHAT_OK : LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_thread_short(vector->project, vector->name, out, ERR));
    CHECK_TEXT(good ? vector->id : "", text(out));
    return good;
}

static FILE *open_vectors(void)
{
    const char *elsewhere = getenv("LIBCHAT_WIRE_VECTORS"), *here = __FILE__;
    char path[4096];

    if (elsewhere)
        snprintf(path, sizeof path, "%s/thread_hash.json", elsewhere);
    else
        snprintf(path, sizeof path, "%.*s../wire/thread_hash.json",
                 (int)(strrchr(here, '/') - here + 1), here);
    FILE *file = fopen(path, "r");
    if (!file)
        fail(__FILE__, __LINE__, path, strerror(errno));
    return file;
}

int main(int argc, char **argv)
{
    static struct vector vector;
    static char line[2 * NAME_MAX_], value[2 * NAME_MAX_];
    int count = 0, wanted = -1, good = 0;
    char out[9];

    begin_without_server(argc, argv);
    FILE *file = open_vectors();
    while (fgets(line, sizeof line, file)) {
        CHECK(strlen(line) < sizeof line - 1);
        sscanf(line, " \"count\": %d", &wanted);
        if (member(line, "name_b64", value, sizeof value))
            vector.name_len = decode(value, vector.name);
        if (member(line, "project_b64", value, sizeof value))
            vector.project_len = decode(value, vector.project);
        if (member(line, "short", vector.id, sizeof vector.id)) {
            good += check(&vector);
            count++;
        }
    }
    fclose(file);
    CHECK_EQ(wanted, count);
    CHECK(good > 0);
    figure("%d of %d thread hashes compared, the others refused", good, count);
    OK(libchat_thread_short("demo", "plan", out, ERR));
    CHECK_TEXT("d0825bc5", text(out));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_thread_short(NULL, "plan", out, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_thread_short("demo", NULL, out, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_thread_short("demo", "plan", NULL, ERR));
    return 0;
}
