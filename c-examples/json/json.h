/* Writes JSON to standard output, one value a line. Each value is preceded by its key, or by NULL in an array. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>

void json_open(const char *key, char bracket);
void json_close(char bracket);
/* Text that is not UTF-8 is taken as Latin-1, so that the output is always valid. */
void json_string(const char *key, const char *value);
void json_number(const char *key, uint64_t value);
void json_real(const char *key, double value);
void json_bool(const char *key, bool value);
void json_null(const char *key);

#endif
