/* What both doubles share: the script that says what happens, and the log that says what did. */
#ifndef DOUBLE_H
#define DOUBLE_H

#include "contract.h"

#define TEXT_LENGTH 2048
#define MAX_RIGHTS 12

typedef enum { DO_STATUS, DO_SLEEP, DO_DEAF, DO_FILE, DO_VERIFY, DO_WAIT, DO_HANG, DO_ABORT } verb;

typedef struct {
    verb verb;
    DWORD number; /* status, milliseconds, or size */
    HRESULT hr;
    int type; /* of the value, -1 for none */
    wchar_t *text;
} step;

typedef struct {
    int count; /* 0: nothing in the script, take the default */
    step *steps;
} step_list;

typedef struct {
    wchar_t action[64];
    license_state_data data;
} right;

typedef struct {
    char form[8]; /* xml, xml16, xmr, junk */
    wchar_t kid[128], lid[128], *more;
    int rights;
    right right[MAX_RIGHTS];
} license;

typedef struct {
    wchar_t log[TEXT_LENGTH];
    /* wmvcore */
    HRESULT create, query, backup_call, restore_call, cancel_call, set_prop;
    BOOL exists_later, needs_individualization, via_create;
    step_list backup, backup_cancel, restore, restore_cancel;
    /* both */
    char broken[64]; /* the method that breaks */
    char how;        /* h: here, e: elsewhere, n: never comes back */
    LONG good_calls; /* so many calls of it are still good */
    /* wmdrmsdk */
    HRESULT startup, provider, create_object, enumeration, get_next, get_license, query_state;
    HRESULT other_actions, no_more, query_allowed;
    BOOL query_by_interface, no_query;
    int licenses;
    license *license;
} script;

/* Read the script that WMBACKUP_DOUBLE_SCRIPT names; never freed, and so kept small: a 32-bit
 * process soon runs out of addresses. NULL when there is none. */
script *read_script(void);

/* Append one line to the log. */
void trace(const script *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append a line that fails the test. */
#define VIOLATION(s, ...) trace(s, "VIOLATION " __VA_ARGS__)

/* Whether the calling thread has initialized COM by itself; anything else is a violation. */
void check_apartment(const script *s, const char *method);

/* Break where the script says so; NAME ends with the method's. */
void misbehave(script *s, const char *name);

/* Whether it is a string made by SysAllocString; anything else is a violation. */
BOOL check_bstr(const script *s, const char *method, const char *what, BSTR value);

#endif
