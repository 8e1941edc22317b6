/* One backup or restore of the double, on its own thread: the steps of the script, in order. */
#include "restorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    restorer *owner;
    status_callback *callback;
    char name; /* 'b' or 'r' */
    DWORD flags;
    HANDLE cancel; /* its own: a later operation of the object has another */
    BOOL over;
} operation;

/* ---- the callback ---- */

status_callback *take_callback(restorer *r, IUnknown *given)
{
    static const GUID nonsense = {0x12345678, 0x9ABC, 0xDEF0, {1, 2, 3, 4, 5, 6, 7, 8}};
    void *found = NULL, *unknown = NULL, *again = NULL, *none = (void *)1;
    script *s = r->script;
    HRESULT hr = IUnknown_QueryInterface(given, &iid_status_callback, &found);
    if (FAILED(hr) || !found) {
        VIOLATION(s, "the callback is no IWMStatusCallback: 0x%08lX", (unsigned long)hr);
        return NULL;
    }
    if (IUnknown_QueryInterface(given, &nonsense, &none) != E_NOINTERFACE || none)
        VIOLATION(s, "the callback answers to an interface that nobody knows");
    if (IUnknown_QueryInterface(given, &iid_status_callback, NULL) != E_POINTER)
        VIOLATION(s, "the callback's QueryInterface takes NULL for the place of the answer");
    IUnknown_QueryInterface(given, &iid_unknown, &unknown);
    IUnknown_QueryInterface((IUnknown *)found, &iid_unknown, &again);
    if (!unknown || unknown != again)
        VIOLATION(s, "the callback has no identity: two answers for IUnknown");
    if (unknown)
        IUnknown_Release((IUnknown *)unknown);
    if (again)
        IUnknown_Release((IUnknown *)again);
    status_callback *callback = found;
    ULONG up = callback->table->AddRef(callback);
    ULONG down = callback->table->Release(callback);
    if (up < 2 || down != up - 1)
        VIOLATION(s, "the callback counts wrong: %lu, then %lu", up, down);
    trace(s, "callback-taken object=%d", r->id);
    return callback;
}

void drop_callback(restorer *r, status_callback *callback)
{
    callback->table->Release(callback);
    trace(r->script, "callback-dropped object=%d", r->id);
}

static int hex_bytes(const wchar_t *text, BYTE *to, int length)
{
    int count = 0;
    unsigned value;
    for (; count < length && swscanf(text, L"%2x", &value) == 1; text += 2)
        to[count++] = (BYTE)value;
    return count;
}

/* Send one status. What the value points to is overwritten as soon as the callback returns. */
static void report(operation *o, const step *st)
{
    restorer *r = o->owner;
    BYTE *value = NULL;
    size_t size = 8;
    unsigned long long n = _wcstoui64(st->text, NULL, 0);
    if (st->number == STATUS_END)
        o->over = TRUE;
    if (o->over) {
        EnterCriticalSection(&r->lock);
        if (r->cancel == o->cancel)
            r->running = 0;
        LeaveCriticalSection(&r->lock);
    }
    if (st->type == TYPE_STRING && wcscmp(st->text, L"NULL")) {
        size = (wcslen(st->text) + 1) * sizeof(wchar_t);
        value = malloc(size);
        memcpy(value, st->text, size);
    } else if (st->type == TYPE_BINARY || st->type == TYPE_GUID) {
        size = 64;
        value = calloc(1, size);
        hex_bytes(st->text, value, 64);
    } else if (st->type >= 0 && st->type != TYPE_STRING) {
        value = malloc(size);
        memcpy(value, &n, size);
    }
    status_callback *to = r->script->via_create ? r->callback : o->callback;
    trace(r->script, "status object=%d status=%lu hr=0x%08lX", r->id, st->number,
          (unsigned long)st->hr);
    HRESULT hr = to->table->OnStatus(to, (int)st->number, st->hr,
                                     st->type < 0 ? TYPE_DWORD : st->type, value, NULL);
    if (hr != S_OK)
        VIOLATION(r->script, "OnStatus returned 0x%08lX", (unsigned long)hr);
    if (value)
        memset(value, 0x55, size);
    free(value);
}

static void report_plain(operation *o, int status, HRESULT hr)
{
    step st = {.verb = DO_STATUS, .number = (DWORD)status, .hr = hr, .type = -1};
    report(o, &st);
}

/* ---- the files of a backup ---- */

static const wchar_t *const default_files[] = {L"drmv1key.bak", L"drmv1lic.bak", L"drmv2key.bak",
                                               L"drmv2lic.bak"};
#define DEFAULT_FILES 4
#define DEFAULT_SIZE 4096

/* Synthetic content that says so, and that `verify` can compute again. */
static BYTE *file_content(const wchar_t *name, DWORD size)
{
    BYTE *content = malloc(size + 256);
    int length = sprintf((char *)content, "SYNTHETIC BACKUP, NO LICENSE\r\n%ls\r\n", name);
    for (DWORD i = (DWORD)length; i < size; i++)
        content[i] = (BYTE)(i * 31 + size);
    return content;
}

static wchar_t *full_name(const wchar_t *folder, const wchar_t *name)
{
    size_t length = wcslen(folder);
    wchar_t *to = malloc((length + wcslen(name) + 2) * sizeof *to);
    wcscpy(to, folder);
    if (length && to[length - 1] != L'\\' && to[length - 1] != L'/')
        to[length++] = L'\\';
    wcscpy(to + length, name);
    return to;
}

static HRESULT write_file(restorer *r, const wchar_t *name, DWORD size)
{
    DWORD written = 0;
    wchar_t *path = full_name(r->backup_path, name);
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    free(path);
    if (file == INVALID_HANDLE_VALUE)
        return HRESULT_FROM_WIN32(GetLastError());
    BYTE *content = file_content(name, size);
    BOOL fine = WriteFile(file, content, size, &written, NULL) && written == size;
    CloseHandle(file);
    free(content);
    trace(r->script, "wrote object=%d size=%lu %ls", r->id, size, name);
    return fine ? S_OK : HRESULT_FROM_WIN32(GetLastError());
}

static HRESULT verify_file(restorer *r, const wchar_t *name, DWORD size)
{
    DWORD got = 0;
    wchar_t *path = full_name(r->restore_path, name);
    HANDLE file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    free(path);
    if (file == INVALID_HANDLE_VALUE)
        return HR_BACKUP_CORRUPT;
    BYTE *content = file_content(name, size), *real = malloc(size + 1);
    BOOL same = ReadFile(file, real, size + 1, &got, NULL) && got == size &&
                !memcmp(real, content, size);
    CloseHandle(file);
    free(content);
    free(real);
    trace(r->script, "verified object=%d same=%d %ls", r->id, same, name);
    return same ? S_OK : HR_BACKUP_CORRUPT;
}

BOOL backup_exists(restorer *r)
{
    for (int i = 0; i < DEFAULT_FILES; i++) {
        wchar_t *path = full_name(r->backup_path, default_files[i]);
        DWORD attributes = GetFileAttributesW(path);
        free(path);
        if (attributes != INVALID_FILE_ATTRIBUTES)
            return TRUE;
    }
    return FALSE;
}

/* ---- the operation's thread ---- */

/* FALSE: canceled. */
static BOOL run_step(operation *o, const step *st)
{
    restorer *r = o->owner;
    HRESULT hr = S_OK;
    switch (st->verb) {
    case DO_STATUS:
        report(o, st);
        break;
    case DO_SLEEP:
        if (o->over)
            Sleep(st->number);
        else
            return WaitForSingleObject(o->cancel, st->number) == WAIT_TIMEOUT;
        break;
    case DO_DEAF:
        Sleep(st->number);
        break;
    case DO_FILE:
        hr = write_file(r, st->text, st->number);
        break;
    case DO_VERIFY:
        hr = verify_file(r, st->text, st->number);
        break;
    case DO_WAIT:
        WaitForSingleObject(o->cancel, INFINITE);
        return FALSE;
    case DO_HANG:
        Sleep(INFINITE);
        break;
    case DO_ABORT:
        TerminateProcess(GetCurrentProcess(), st->number);
        break;
    }
    if (FAILED(hr)) {
        report_plain(o, STATUS_END, hr);
        return TRUE;
    }
    return o->over || WaitForSingleObject(o->cancel, 0) == WAIT_TIMEOUT;
}

static BOOL run_steps(operation *o, const step_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!run_step(o, &list->steps[i]))
            return FALSE;
    return TRUE;
}

static BOOL run_default(operation *o)
{
    step st = {.type = -1, .number = DEFAULT_SIZE};
    st.verb = o->name == 'b' ? DO_FILE : DO_VERIFY;
    if (o->name == 'r') {
        report_plain(o, STATUS_CONNECTING, S_OK);
        report_plain(o, STATUS_DISCONNECTING, S_OK);
    }
    report_plain(o, STATUS_BEGIN, S_OK);
    for (int i = 0; i < DEFAULT_FILES && !o->over; i++) {
        wcscpy(st.text, default_files[i]);
        if (!run_step(o, &st))
            return FALSE;
    }
    if (!o->over)
        report_plain(o, STATUS_END, S_OK);
    return TRUE;
}

static void cancel_steps(operation *o, const step_list *list)
{
    ResetEvent(o->cancel); /* it is noticed once */
    if (list->count)
        run_steps(o, list);
    else
        report_plain(o, STATUS_END, HR_CANCELED);
}

static DWORD WINAPI worker(void *argument)
{
    operation *o = argument;
    restorer *r = o->owner;
    script *s = r->script;
    const step_list *list = o->name == 'b' ? &s->backup : &s->restore;
    BOOL whole;
    CoInitializeEx(NULL, COINIT_MULTITHREADED);
    if (o->name == 'r' && s->needs_individualization && !(o->flags & RESTORE_INDIVIDUALIZE)) {
        report_plain(o, STATUS_NEEDS_INDIVIDUALIZATION, HR_NEEDS_INDIVIDUALIZATION);
        report_plain(o, STATUS_END, HR_NEEDS_INDIVIDUALIZATION);
        whole = TRUE;
    } else if (o->name == 'b' && s->exists_later && !(o->flags & BACKUP_OVERWRITE) &&
               backup_exists(r)) {
        report_plain(o, STATUS_END, HR_BACKUP_EXISTS);
        whole = TRUE;
    } else {
        if (o->name == 'r' && s->needs_individualization)
            report_plain(o, STATUS_INDIVIDUALIZE, S_OK);
        whole = list->count ? run_steps(o, list) : run_default(o);
    }
    if (!whole)
        cancel_steps(o, o->name == 'b' ? &s->backup_cancel : &s->restore_cancel);
    EnterCriticalSection(&r->lock);
    if (r->cancel == o->cancel)
        r->running = 0;
    LeaveCriticalSection(&r->lock);
    drop_callback(r, o->callback);
    trace(s, "thread-over object=%d", r->id);
    CoUninitialize();
    return 0;
}

HRESULT start(restorer *r, char name, DWORD flags, status_callback *callback)
{
    operation *o = calloc(1, sizeof *o);
    EnterCriticalSection(&r->lock);
    if (r->running) {
        LeaveCriticalSection(&r->lock);
        return HR_BUSY;
    }
    r->running = name;
    r->cancel = CreateEventW(NULL, TRUE, FALSE, NULL);
    LeaveCriticalSection(&r->lock);
    o->owner = r;
    o->name = name;
    o->flags = flags;
    o->cancel = r->cancel;
    o->callback = take_callback(r, (IUnknown *)callback);
    if (!o->callback)
        return E_INVALIDARG;
    CloseHandle(CreateThread(NULL, 0, worker, o, 0, NULL));
    return S_OK;
}
