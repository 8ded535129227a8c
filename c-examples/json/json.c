#include "json.h"
#include <inttypes.h>
#include <stdio.h>

static int depth;
static bool first = true;

static bool is_utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        int more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : *at >= 0xe0 && *at < 0xf0 ? 2 : *at >= 0xf0 && *at < 0xf5 ? 3 : -1;
        /* overlong forms, surrogates and numbers above 0x10ffff */
        if (more < 0 || (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
            (*at == 0xf4 && at[1] > 0x8f))
            return false;
        for (; more > 0; more--)
            if ((*++at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static void quoted(const char *text)
{
    bool utf8 = is_utf8(text);
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < ' ' || c == 127 || (c > 127 && !utf8))
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void begin(const char *key)
{
    printf(first ? "%s" : ",%s", depth ? "\n" : "");
    printf("%*s", depth * 2, "");
    first = false;
    if (key) {
        quoted(key);
        fputs(": ", stdout);
    }
}

void json_open(const char *key, char bracket)
{
    begin(key);
    putchar(bracket);
    depth++;
    first = true;
}

void json_close(char bracket)
{
    depth--;
    if (!first)
        printf("\n%*s", depth * 2, "");
    putchar(bracket);
    first = false;
    if (depth == 0)
        putchar('\n');
}

void json_string(const char *key, const char *value)
{
    begin(key);
    quoted(value);
}

void json_number(const char *key, uint64_t value)
{
    begin(key);
    printf("%" PRIu64, value);
}

void json_real(const char *key, double value)
{
    begin(key);
    printf("%.3f", value);
}

void json_bool(const char *key, bool value)
{
    begin(key);
    fputs(value ? "true" : "false", stdout);
}

void json_null(const char *key)
{
    begin(key);
    fputs("null", stdout);
}
