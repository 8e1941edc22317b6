/* The script and the log, for both doubles. */
#include "double.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static BOOL parse_line(script *s, char *line);

static void widen(const char *from, wchar_t *to, int length)
{
    if (!MultiByteToWideChar(CP_UTF8, 0, from, -1, to, length))
        to[0] = 0;
}

script *read_script(void)
{
    wchar_t path[TEXT_LENGTH];
    DWORD length = GetEnvironmentVariableW(L"WMBACKUP_DOUBLE_SCRIPT", path, TEXT_LENGTH);
    if (length == 0 || length >= TEXT_LENGTH)
        return NULL;
    FILE *file = _wfopen(path, L"rb");
    if (!file)
        return NULL;
    script *s = calloc(1, sizeof *s);
    s->no_more = HRESULT_FROM_WIN32(ERROR_NO_MORE_ITEMS);
    char line[2 * TEXT_LENGTH];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        char copy[2 * TEXT_LENGTH];
        strcpy(copy, line);
        if (line[0] && line[0] != '#' && !parse_line(s, line))
            VIOLATION(s, "script line not understood: %s", copy);
    }
    fclose(file);
    return s;
}

static wchar_t *widened(const char *from)
{
    wchar_t text[TEXT_LENGTH];
    widen(from, text, TEXT_LENGTH);
    return _wcsdup(text);
}

static char *word(char **rest)
{
    char *start = *rest + strspn(*rest, " ");
    char *end = start + strcspn(start, " ");
    *rest = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static DWORD number(const char *text) { return (DWORD)strtoul(text, NULL, 0); }

static const struct {
    const char *word;
    verb verb;
} verbs[] = {{"status", DO_STATUS}, {"sleep", DO_SLEEP}, {"deaf", DO_DEAF}, {"file", DO_FILE},
             {"verify", DO_VERIFY}, {"wait-for-cancel", DO_WAIT}, {"hang", DO_HANG},
             {"abort", DO_ABORT}};

static const char *const types[] = {"dword", "string", "binary", "bool", "qword", "word", "guid"};

static BOOL parse_step(step_list *list, char *rest)
{
    list->steps = realloc(list->steps, (list->count + 1) * sizeof *list->steps);
    step *next = &list->steps[list->count];
    memset(next, 0, sizeof *next);
    const char *name = word(&rest);
    size_t index = 0;
    while (index < sizeof verbs / sizeof *verbs && strcmp(verbs[index].word, name))
        index++;
    if (index == sizeof verbs / sizeof *verbs)
        return FALSE;
    next->verb = verbs[index].verb;
    next->type = -1;
    if (next->verb == DO_FILE || next->verb == DO_VERIFY) {
        next->text = widened(word(&rest));
        next->number = number(word(&rest));
    } else {
        next->number = number(word(&rest));
    }
    if (next->verb == DO_STATUS) {
        next->hr = (HRESULT)number(word(&rest));
        const char *type = word(&rest);
        for (int t = 0; *type && t < (int)(sizeof types / sizeof *types); t++)
            if (!strcmp(types[t], type))
                next->type = t;
        if (*type && next->type < 0)
            return FALSE;
        next->text = widened(rest);
    }
    list->count++;
    return TRUE;
}

static BOOL parse_license(script *s, char *rest)
{
    s->license = realloc(s->license, (s->licenses + 1) * sizeof *s->license);
    license *l = &s->license[s->licenses++];
    memset(l, 0, sizeof *l);
    strncpy(l->form, word(&rest), sizeof l->form - 1);
    widen(word(&rest), l->kid, 128);
    widen(word(&rest), l->lid, 128);
    l->more = widened(rest);
    return TRUE;
}

/* right ACTION CATEGORY [count N | date FILETIME | vague]... for the license above it */
static BOOL parse_right(script *s, char *rest)
{
    if (!s->licenses || s->license[s->licenses - 1].rights == MAX_RIGHTS)
        return FALSE;
    license *l = &s->license[s->licenses - 1];
    right *r = &l->right[l->rights++];
    widen(word(&rest), r->action, 64);
    r->data.category = number(word(&rest));
    for (char *what = word(&rest); *what; what = word(&rest)) {
        if (!strcmp(what, "count") && r->data.num_counts < 4) {
            r->data.count[r->data.num_counts++] = number(word(&rest));
        } else if (!strcmp(what, "date") && r->data.num_dates < 4) {
            unsigned long long date = strtoull(word(&rest), NULL, 0);
            FILETIME *to = &r->data.datetime[r->data.num_dates++];
            to->dwLowDateTime = (DWORD)date;
            to->dwHighDateTime = (DWORD)(date >> 32);
        } else if (!strcmp(what, "vague")) {
            r->data.vague = 1;
        } else {
            return FALSE;
        }
    }
    return TRUE;
}

static BOOL parse_line(script *s, char *line)
{
    char *rest = line;
    const char *name = word(&rest);
    const struct {
        const char *word;
        HRESULT *hr;
    } results[] = {{"create", &s->create}, {"query", &s->query},
                   {"backup-call", &s->backup_call}, {"restore-call", &s->restore_call},
                   {"cancel-call", &s->cancel_call},
                   {"set-prop", &s->set_prop}, {"startup", &s->startup},
                   {"provider", &s->provider}, {"create-object", &s->create_object},
                   {"enumeration", &s->enumeration}, {"get-next", &s->get_next},
                   {"get-license", &s->get_license}, {"query-state", &s->query_state},
                   {"other-actions", &s->other_actions},
                   {"query-allowed", &s->query_allowed}, {"no-more", &s->no_more}};
    const struct {
        const char *word;
        BOOL *flag;
    } flags[] = {{"exists-later", &s->exists_later},
                 {"needs-individualization", &s->needs_individualization},
                 {"via-create", &s->via_create},
                 {"query-by-interface", &s->query_by_interface},
                 {"no-query", &s->no_query}};
    const struct {
        const char *word;
        step_list *list;
    } lists[] = {{"backup", &s->backup}, {"backup-cancel", &s->backup_cancel},
                 {"restore", &s->restore}, {"restore-cancel", &s->restore_cancel}};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (!strcmp(results[i].word, name))
            return *results[i].hr = (HRESULT)number(word(&rest)), TRUE;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(flags[i].word, name))
            return *flags[i].flag = TRUE;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!strcmp(lists[i].word, name))
            return parse_step(lists[i].list, rest);
    if (!strcmp(name, "log"))
        return widen(rest, s->log, TEXT_LENGTH), TRUE;
    if (!strcmp(name, "break")) { /* break METHOD here|elsewhere|never [GOOD-CALLS] */
        strncpy(s->broken, word(&rest), sizeof s->broken - 1);
        s->how = *word(&rest);
        s->good_calls = (LONG)number(word(&rest));
        return s->how == 'h' || s->how == 'e' || s->how == 'n';
    }
    if (!strcmp(name, "license"))
        return parse_license(s, rest);
    return !strcmp(name, "right") && parse_right(s, rest);
}

void trace(const script *s, const char *format, ...)
{
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length++] = '\n';
    static SRWLOCK lock = SRWLOCK_INIT; /* appending alone loses lines under Wine */
    AcquireSRWLockExclusive(&lock);
    HANDLE file = CreateFileW(s->log, FILE_APPEND_DATA,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file != INVALID_HANDLE_VALUE) {
        DWORD written;
        WriteFile(file, line, (DWORD)length, &written, NULL);
        CloseHandle(file);
    }
    ReleaseSRWLockExclusive(&lock);
}

void check_apartment(const script *s, const char *method)
{
    APTTYPE type;
    APTTYPEQUALIFIER qualifier;
    HRESULT hr = CoGetApartmentType(&type, &qualifier);
    if (FAILED(hr))
        VIOLATION(s, "%s on a thread that has not initialized COM", method);
    else if (qualifier == APTTYPEQUALIFIER_IMPLICIT_MTA)
        VIOLATION(s, "%s on a thread that lives off another one's COM", method);
    else if (type != APTTYPE_MTA)
        VIOLATION(s, "%s in a single-threaded apartment, with nobody to pump messages", method);
}

void misbehave(script *s, const char *name)
{
    size_t have = strlen(name), want = strlen(s->broken);
    if (!want || want > have || strcmp(name + have - want, s->broken))
        return;
    if (InterlockedDecrement(&s->good_calls) >= 0)
        return;
    trace(s, "breaks %s", name);
    if (s->how == 'n')
        Sleep(INFINITE);
    if (s->how == 'e') /* what an access violation on a thread of Microsoft's own comes to */
        TerminateProcess(GetCurrentProcess(), 0xC0000005);
    *(volatile int *)8 = 1;
}

BOOL check_bstr(const script *s, const char *method, const char *what, BSTR value)
{
    if (!value) {
        VIOLATION(s, "%s: %s is NULL", method, what);
        return FALSE;
    }
    if (SysStringLen(value) != wcslen(value)) {
        VIOLATION(s, "%s: %s is not a BSTR", method, what);
        return FALSE;
    }
    return TRUE;
}
