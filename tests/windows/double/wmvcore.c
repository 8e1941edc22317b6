/* A double of WMVCore.dll: WMCreateBackupRestorer and the object that it makes.
 *
 * One object, three interfaces. Memory of an object is never given back, so that a call on a dead
 * one is seen and reported rather than a crash somewhere else.
 */
#include "restorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const interface_names[] = {"IWMLicenseBackup", "IWMLicenseRestore",
                                              "IWMBackupRestoreProps"};
#define SLOTS 16

static LONG made;

static const char *method_name(char *buffer, const interface_part *p, const char *method)
{
    sprintf(buffer, "%s::%s", interface_names[p->part], method);
    return buffer;
}

/* What every call begins with: the object lives, the interface is the right one, COM is there. */
static BOOL enter(interface_part *p, int part, const char *method, BOOL apartment)
{
    char name[128];
    restorer *r = p->owner;
    method_name(name, p, method);
    trace(r->script, "call object=%d %s", r->id, name);
    if (r->refs <= 0)
        VIOLATION(r->script, "%s on a dead object", name);
    if (part >= 0 && p->part != part)
        VIOLATION(r->script, "%s called through %s", method, interface_names[p->part]);
    if (apartment)
        check_apartment(r->script, name);
    misbehave(r->script, name);
    return r->refs > 0;
}

static BOOL usable_folder(restorer *r, const char *method, const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);
    if (!path[0])
        VIOLATION(r->script, "%s before its path was set", method);
    else if (attributes == INVALID_FILE_ATTRIBUTES || !(attributes & FILE_ATTRIBUTE_DIRECTORY))
        VIOLATION(r->script, "%s into a folder that does not exist", method);
    else
        return TRUE;
    return FALSE;
}

/* ---- IUnknown ---- */

static HRESULT STDMETHODCALLTYPE query_interface(interface_part *p, REFIID iid, void **answer)
{
    restorer *r = p->owner;
    const GUID *known[] = {&iid_license_backup, &iid_license_restore, &iid_backup_restore_props};
    if (!enter(p, -1, "QueryInterface", TRUE))
        return E_UNEXPECTED;
    if (!answer)
        return E_POINTER;
    *answer = NULL;
    if (IsEqualGUID(iid, &iid_unknown))
        *answer = &r->part[BACKUP];
    for (int i = 0; i < INTERFACES; i++)
        if (IsEqualGUID(iid, known[i]))
            *answer = FAILED(r->script->query) && i != BACKUP ? NULL : &r->part[i];
    if (!*answer) {
        if (FAILED(r->script->query))
            return r->script->query;
        VIOLATION(r->script, "QueryInterface for an interface that nobody knows");
        return E_NOINTERFACE;
    }
    trace(r->script, "addref object=%d refs=%ld", r->id, InterlockedIncrement(&r->refs));
    return S_OK;
}

static ULONG STDMETHODCALLTYPE add_ref(interface_part *p)
{
    restorer *r = p->owner;
    if (!enter(p, -1, "AddRef", FALSE))
        return 0;
    LONG refs = InterlockedIncrement(&r->refs);
    trace(r->script, "addref object=%d refs=%ld", r->id, refs);
    return (ULONG)refs;
}

static ULONG STDMETHODCALLTYPE release(interface_part *p)
{
    restorer *r = p->owner;
    if (!enter(p, -1, "Release", TRUE))
        return 0;
    LONG refs = InterlockedDecrement(&r->refs);
    trace(r->script, "release object=%d refs=%ld", r->id, refs);
    if (refs == 0) {
        if (r->running)
            VIOLATION(r->script, "released while an operation runs");
        drop_callback(r, r->callback);
        trace(r->script, "destroyed object=%d", r->id);
    }
    return (ULONG)refs;
}

/* ---- IWMLicenseBackup, IWMLicenseRestore ---- */

static HRESULT STDMETHODCALLTYPE backup_licenses(interface_part *p, DWORD flags,
                                                 status_callback *callback)
{
    restorer *r = p->owner;
    if (!enter(p, BACKUP, "BackupLicenses", TRUE))
        return E_UNEXPECTED;
    trace(r->script, "backup object=%d flags=%lu", r->id, flags);
    if (flags & ~BACKUP_OVERWRITE) {
        VIOLATION(r->script, "BackupLicenses with flags 0x%lX", flags);
        return E_INVALIDARG;
    }
    if (!callback)
        return E_INVALIDARG;
    if (FAILED(r->script->backup_call))
        return r->script->backup_call;
    if (!usable_folder(r, "BackupLicenses", r->backup_path))
        return E_INVALIDARG;
    if (!r->script->exists_later && !(flags & BACKUP_OVERWRITE) && !r->running && backup_exists(r))
        return HR_BACKUP_EXISTS;
    return start(r, 'b', flags, callback);
}

static HRESULT STDMETHODCALLTYPE restore_licenses(interface_part *p, DWORD flags,
                                                  status_callback *callback)
{
    restorer *r = p->owner;
    if (!enter(p, RESTORE, "RestoreLicenses", TRUE))
        return E_UNEXPECTED;
    trace(r->script, "restore object=%d flags=%lu", r->id, flags);
    if (flags & ~RESTORE_INDIVIDUALIZE) {
        VIOLATION(r->script, "RestoreLicenses with flags 0x%lX", flags);
        return E_INVALIDARG;
    }
    if (!callback)
        return E_INVALIDARG;
    if (FAILED(r->script->restore_call))
        return r->script->restore_call;
    if (!usable_folder(r, "RestoreLicenses", r->restore_path))
        return E_INVALIDARG;
    return start(r, 'r', flags, callback);
}

static HRESULT cancel(restorer *r, char name)
{
    EnterCriticalSection(&r->lock);
    trace(r->script, "cancel object=%d running=%d", r->id, r->running != 0);
    if (r->running && r->running != name)
        VIOLATION(r->script, "the other operation is canceled");
    if (r->running && !FAILED(r->script->cancel_call))
        SetEvent(r->cancel);
    LeaveCriticalSection(&r->lock);
    return r->script->cancel_call;
}

static HRESULT STDMETHODCALLTYPE cancel_license_backup(interface_part *p)
{
    return enter(p, BACKUP, "CancelLicenseBackup", TRUE) ? cancel(p->owner, 'b') : E_UNEXPECTED;
}

static HRESULT STDMETHODCALLTYPE cancel_license_restore(interface_part *p)
{
    return enter(p, RESTORE, "CancelLicenseRestore", TRUE) ? cancel(p->owner, 'r') : E_UNEXPECTED;
}

/* ---- IWMBackupRestoreProps ---- */

static HRESULT STDMETHODCALLTYPE get_prop_count(interface_part *p, WORD *count)
{
    (void)count;
    enter(p, PROPS, "GetPropCount", TRUE);
    return E_NOTIMPL;
}

static HRESULT STDMETHODCALLTYPE get_prop_by_index(interface_part *p, WORD index, WCHAR *name,
                                                   WORD *name_length, int *type, BYTE *value,
                                                   WORD *length)
{
    (void)index, (void)name, (void)name_length, (void)type, (void)value, (void)length;
    enter(p, PROPS, "GetPropByIndex", TRUE);
    return E_NOTIMPL;
}

static HRESULT STDMETHODCALLTYPE get_prop_by_name(interface_part *p, LPCWSTR name, int *type,
                                                  BYTE *value, WORD *length)
{
    (void)name, (void)type, (void)value, (void)length;
    enter(p, PROPS, "GetPropByName", TRUE);
    return E_NOTIMPL;
}

static wchar_t **property(restorer *r, LPCWSTR name)
{
    if (name && !wcscmp(name, L"BackupPath"))
        return &r->backup_path;
    if (name && !wcscmp(name, L"RestorePath"))
        return &r->restore_path;
    VIOLATION(r->script, "a property that nobody knows: %ls", name ? name : L"NULL");
    return NULL;
}

static BOOL is_full_path(const wchar_t *path)
{
    return (path[0] == L'\\' && path[1] == L'\\') ||
           (iswalpha(path[0]) && path[1] == L':' && (path[2] == L'\\' || path[2] == L'/'));
}

static HRESULT STDMETHODCALLTYPE set_prop(interface_part *p, LPCWSTR name, int type,
                                          const BYTE *value, WORD length)
{
    restorer *r = p->owner;
    if (!enter(p, PROPS, "SetProp", TRUE))
        return E_UNEXPECTED;
    trace(r->script, "set-prop object=%d type=%d length=%u %ls", r->id, type, length,
          name ? name : L"NULL");
    if (type != TYPE_STRING)
        return E_INVALIDARG;
    wchar_t **to = property(r, name);
    const wchar_t *text = (const wchar_t *)value;
    if (FAILED(r->script->set_prop))
        return r->script->set_prop;
    if (!to || !value)
        return E_INVALIDARG;
    if (length < 2 || length % 2 || text[length / 2 - 1]) {
        VIOLATION(r->script, "SetProp: the length does not count a terminating NUL");
        return E_INVALIDARG;
    }
    if (wcslen(text) != (size_t)length / 2 - 1) {
        VIOLATION(r->script, "SetProp: a NUL inside the value");
        return E_INVALIDARG;
    }
    if (!is_full_path(text))
        VIOLATION(r->script, "SetProp: not a full path");
    *to = _wcsdup(text);
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE remove_prop(interface_part *p, LPCWSTR name)
{
    restorer *r = p->owner;
    if (!enter(p, PROPS, "RemoveProp", TRUE))
        return E_UNEXPECTED;
    wchar_t **value = property(r, name);
    if (!value)
        return E_INVALIDARG;
    trace(r->script, "remove-prop object=%d %ls", r->id, name);
    *value = L"";
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE remove_all_props(interface_part *p)
{
    restorer *r = p->owner;
    if (!enter(p, PROPS, "RemoveAllProps", TRUE))
        return E_UNEXPECTED;
    trace(r->script, "remove-all-props object=%d", r->id);
    r->backup_path = r->restore_path = L"";
    return S_OK;
}

/* Behind the last slot of each interface: somebody counted wrong. */
static HRESULT STDMETHODCALLTYPE trap(interface_part *p)
{
    VIOLATION(p->owner->script, "a slot behind the last one of %s", interface_names[p->part]);
    return E_NOTIMPL;
}

#define UNKNOWN (void *)query_interface, (void *)add_ref, (void *)release
#define TRAP (void *)trap

static void *const tables[INTERFACES][SLOTS] = {
    {UNKNOWN, (void *)backup_licenses, (void *)cancel_license_backup, TRAP, TRAP, TRAP, TRAP, TRAP,
     TRAP, TRAP, TRAP, TRAP, TRAP, TRAP},
    {UNKNOWN, (void *)restore_licenses, (void *)cancel_license_restore, TRAP, TRAP, TRAP, TRAP,
     TRAP, TRAP, TRAP, TRAP, TRAP, TRAP, TRAP},
    {UNKNOWN, (void *)get_prop_count, (void *)get_prop_by_index, (void *)get_prop_by_name,
     (void *)set_prop, (void *)remove_prop, (void *)remove_all_props, TRAP, TRAP, TRAP, TRAP, TRAP,
     TRAP, TRAP},
};

HRESULT STDMETHODCALLTYPE WMCreateBackupRestorer(IUnknown *callback, void **answer)
{
    script *s = read_script();
    if (!s)
        return E_UNEXPECTED; /* no script: the double is here by mistake */
    if (answer)
        *answer = NULL;
    trace(s, "call WMCreateBackupRestorer");
    misbehave(s, "WMCreateBackupRestorer");
    check_apartment(s, "WMCreateBackupRestorer");
    if (!answer)
        VIOLATION(s, "WMCreateBackupRestorer without a place for the object");
    if (!callback || !answer)
        return E_INVALIDARG;
    if (FAILED(s->create))
        return s->create;
    restorer *r = calloc(1, sizeof *r);
    r->script = s;
    r->id = (int)InterlockedIncrement(&made);
    r->refs = 1;
    r->backup_path = r->restore_path = L"";
    InitializeCriticalSection(&r->lock);
    for (int i = 0; i < INTERFACES; i++)
        r->part[i] = (interface_part){tables[i], r, i};
    r->callback = take_callback(r, callback);
    if (!r->callback)
        return E_INVALIDARG;
    trace(s, "created object=%d refs=1", r->id);
    *answer = &r->part[BACKUP];
    return S_OK;
}
