/* A double of wmdrmsdk.dll: the provider, the license management and its enumeration, the query.
 *
 * All objects share one head and one IUnknown. Memory is never given back, as in wmvcore.c. Slots
 * that a backup program has no business with (delete, store and acquire licenses, decryptors, an
 * encryptor) are violations.
 */
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { PROVIDER, MANAGEMENT, LICENSE, QUERY, COOKIE, EVENT } kind;
static const char *const kind_names[] = {"IWMDRMProvider", "IWMDRMLicenseManagement",
                                         "IWMDRMLicense",  "IWMDRMLicenseQuery",
                                         "cookie",         "IMFMediaEvent"};
#define SLOTS 37 /* IMFMediaEvent has that many */

typedef struct object object;
struct object {
    void *const *table;
    kind kind;
    script *script;
    int id;
    LONG refs;
    int position;    /* LICENSE: of the license that is loaded, licenses behind the last one */
    wchar_t *kid;    /* LICENSE: only this one, or NULL for all */
    DWORD event[8];  /* MANAGEMENT: waiting events */
    int events;
    DWORD event_type; /* EVENT */
};

static LONG started, made, alive;
static script *current; /* of the last WMDRMStartup */

static object *make(kind k, script *s);

static BOOL enter(object *o, kind k, const char *method)
{
    trace(o->script, "call object=%d %s::%s", o->id, kind_names[o->kind], method);
    if (o->refs <= 0)
        VIOLATION(o->script, "%s::%s on a dead object", kind_names[o->kind], method);
    if (o->kind != k)
        VIOLATION(o->script, "%s called on %s", method, kind_names[o->kind]);
    if (started <= 0)
        VIOLATION(o->script, "%s after WMDRMShutdown", method);
    check_apartment(o->script, method);
    char name[128];
    sprintf(name, "%s::%s", kind_names[o->kind], method);
    if (strcmp(method, "Release"))
        misbehave(o->script, name);
    return o->refs > 0 && o->kind == k;
}

/* ---- IUnknown, of all objects ---- */

static HRESULT STDMETHODCALLTYPE query_interface(object *o, REFIID iid, void **answer)
{
    static const struct {
        kind kind;
        const GUID *iid;
    } known[] = {{PROVIDER, &iid_provider},
                 {MANAGEMENT, &iid_event_generator},
                 {MANAGEMENT, &iid_license_management},
                 {LICENSE, &iid_license},
                 {QUERY, &iid_license_query},
                 {COOKIE, &iid_backup_restore_status}};
    enter(o, o->kind, "QueryInterface");
    *answer = NULL;
    BOOL found = IsEqualGUID(iid, &iid_unknown);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found |= known[i].kind == o->kind && IsEqualGUID(iid, known[i].iid);
    if (found) {
        *answer = o;
        trace(o->script, "addref object=%d refs=%ld", o->id, InterlockedIncrement(&o->refs));
        return S_OK;
    }
    if (o->kind == MANAGEMENT && o->script->query_by_interface &&
        IsEqualGUID(iid, &iid_license_query)) {
        *answer = make(QUERY, o->script);
        return S_OK;
    }
    trace(o->script, "no-interface object=%d", o->id);
    return E_NOINTERFACE;
}

static ULONG STDMETHODCALLTYPE add_ref(object *o)
{
    enter(o, o->kind, "AddRef");
    LONG refs = InterlockedIncrement(&o->refs);
    trace(o->script, "addref object=%d refs=%ld", o->id, refs);
    return (ULONG)refs;
}

static ULONG STDMETHODCALLTYPE release(object *o)
{
    enter(o, o->kind, "Release");
    if (o->refs <= 0)
        return 0;
    LONG refs = InterlockedDecrement(&o->refs);
    trace(o->script, "release object=%d refs=%ld", o->id, refs);
    if (refs == 0) {
        InterlockedDecrement(&alive);
        trace(o->script, "destroyed object=%d", o->id);
    }
    misbehave(o->script, "Release"); /* when it is gone: later tests count what lives */
    return (ULONG)refs;
}

/* ---- IWMDRMProvider ---- */

static HRESULT STDMETHODCALLTYPE create_object(object *o, REFIID iid, void **answer)
{
    if (!enter(o, PROVIDER, "CreateObject") || !answer)
        return E_INVALIDARG;
    *answer = NULL;
    if (FAILED(o->script->create_object))
        return o->script->create_object;
    if (IsEqualGUID(iid, &iid_license_management))
        *answer = make(MANAGEMENT, o->script);
    else if (IsEqualGUID(iid, &iid_license_query) && !o->script->query_by_interface &&
             !o->script->no_query)
        *answer = make(QUERY, o->script);
    return *answer ? S_OK : E_NOINTERFACE;
}

/* ---- IWMDRMEventGenerator and IWMDRMLicenseManagement ---- */

static HRESULT STDMETHODCALLTYPE get_event(object *o, DWORD flags, void **answer)
{
    if (!enter(o, MANAGEMENT, "GetEvent") || !answer)
        return E_INVALIDARG;
    trace(o->script, "get-event flags=%lu", flags);
    *answer = NULL;
    if (!o->events)
        return (HRESULT)0xC00D3E80; /* MF_E_NO_EVENTS_AVAILABLE */
    object *event = make(EVENT, o->script);
    event->event_type = o->event[0];
    memmove(o->event, o->event + 1, sizeof o->event - sizeof *o->event);
    o->events--;
    *answer = event;
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE cancel_async_operation(object *o, IUnknown *cookie)
{
    if (!enter(o, MANAGEMENT, "CancelAsyncOperation"))
        return E_INVALIDARG;
    trace(o->script, "cancel-async cookie=%d", cookie ? ((object *)cookie)->id : 0);
    return cookie ? S_OK : E_INVALIDARG;
}

static HRESULT STDMETHODCALLTYPE shut_down(object *o)
{
    return enter(o, MANAGEMENT, "Shutdown") ? S_OK : E_INVALIDARG;
}

/* Both put the license that comes next into the object: "Enumerating Licenses in the Local License
   Store" says that an enumeration begins with the first license loaded. */
static void load_next(object *o)
{
    do
        o->position++;
    while (o->position < o->script->licenses && o->kid &&
           wcscmp(o->kid, o->script->license[o->position].kid));
}

static void load_first(object *o)
{
    o->position = -1;
    load_next(o);
}

static HRESULT STDMETHODCALLTYPE create_license_enumeration(object *o, license_filter *filter,
                                                            void **answer)
{
    if (!enter(o, MANAGEMENT, "CreateLicenseEnumeration") || !answer)
        return E_INVALIDARG;
    *answer = NULL;
    if (!filter) {
        VIOLATION(o->script, "CreateLicenseEnumeration without a filter");
        return E_INVALIDARG;
    }
    trace(o->script, "filter version=%lu kid=%d rights=%d sources=%d", filter->version,
          filter->kid != NULL, filter->rights != NULL, filter->allowed_source_ids != NULL);
    if (FAILED(o->script->enumeration))
        return o->script->enumeration;
    object *l = make(LICENSE, o->script);
    if (filter->kid && check_bstr(o->script, "CreateLicenseEnumeration", "bstrKID", filter->kid))
        l->kid = _wcsdup(filter->kid);
    if (filter->rights)
        check_bstr(o->script, "CreateLicenseEnumeration", "bstrRights", filter->rights);
    if (filter->allowed_source_ids)
        check_bstr(o->script, "CreateLicenseEnumeration", "bstrAllowedSourceIDs",
                   filter->allowed_source_ids);
    load_first(l);
    *answer = l;
    return S_OK;
}

static HRESULT begin(object *o, const char *method, BSTR folder, DWORD flags, DWORD allowed,
                     DWORD progress, DWORD completed, IUnknown **cookie)
{
    if (!enter(o, MANAGEMENT, method) || !cookie)
        return E_INVALIDARG;
    *cookie = NULL;
    if (!check_bstr(o->script, method, "the folder", folder))
        return E_INVALIDARG;
    if (flags & ~allowed) {
        VIOLATION(o->script, "%s with flags 0x%lX", method, flags);
        return E_INVALIDARG;
    }
    o->event[o->events++] = progress;
    o->event[o->events++] = completed;
    *cookie = (IUnknown *)make(COOKIE, o->script);
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE backup_licenses(object *o, BSTR folder, DWORD flags,
                                                 IUnknown **cookie)
{
    return begin(o, "BackupLicenses", folder, flags, BACKUP_OVERWRITE, 501, 500, cookie);
}

static HRESULT STDMETHODCALLTYPE restore_licenses(object *o, BSTR folder, DWORD flags,
                                                  IUnknown **cookie)
{
    return begin(o, "RestoreLicenses", folder, flags, RESTORE_INDIVIDUALIZE, 503, 502, cookie);
}

/* ---- IWMDRMLicense ---- */

static HRESULT STDMETHODCALLTYPE reset_enumeration(object *o)
{
    if (!enter(o, LICENSE, "ResetEnumeration"))
        return E_UNEXPECTED;
    load_first(o);
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE get_next(object *o)
{
    if (!enter(o, LICENSE, "GetNext"))
        return E_UNEXPECTED;
    if (FAILED(o->script->get_next))
        return o->script->get_next;
    if (o->position < o->script->licenses)
        load_next(o);
    return o->position < o->script->licenses ? S_OK : o->script->no_more;
}

static const license *here(object *o, const char *method)
{
    if (o->position >= 0 && o->position < o->script->licenses)
        return &o->script->license[o->position];
    VIOLATION(o->script, "%s with no license at hand", method);
    return NULL;
}

static HRESULT STDMETHODCALLTYPE get_license(object *o, BYTE **bytes, DWORD *size, DWORD *type)
{
    const license *l;
    if (!enter(o, LICENSE, "GetLicense") || !bytes || !size || !type)
        return E_INVALIDARG;
    *bytes = NULL;
    *size = *type = 0;
    if (FAILED(o->script->get_license))
        return o->script->get_license;
    /* What an empty store answers is not documented; this is one of the answers that it may give. */
    if (!o->script->licenses)
        return o->script->no_more;
    if (!(l = here(o, "GetLicense")))
        return E_UNEXPECTED;
    wchar_t wide[1024];
    char text[2048] = "XMR\0synthetic, opaque";
    swprintf(wide, 1024,
             L"<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><LID>%ls</LID><KID>%ls</KID>"
             L"%ls</DATA></LICENSORINFO></LICENSE>",
             l->lid, l->kid, l->more);
    const void *from = text;
    *size = 21;
    *type = 2;
    if (!strcmp(l->form, "xml16")) {
        from = wide;
        *size = (DWORD)(wcslen(wide) * sizeof *wide);
        *type = 1;
    } else if (!strcmp(l->form, "xml")) {
        *size = (DWORD)WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, sizeof text, NULL, NULL) - 1;
        *type = 1;
    } else if (!strcmp(l->form, "junk")) {
        *size = 0;
        *type = 7;
    }
    *bytes = CoTaskMemAlloc(*size + 1);
    memcpy(*bytes, from, *size);
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE get_license_property(object *o, BSTR name, PROPVARIANT *value)
{
    const license *l;
    if (!enter(o, LICENSE, "GetLicenseProperty") || !value ||
        !check_bstr(o->script, "GetLicenseProperty", "the name", name))
        return E_INVALIDARG;
    if (!(l = here(o, "GetLicenseProperty")))
        return E_UNEXPECTED;
    trace(o->script, "property %ls", name);
    BOOL known = FALSE;
    for (size_t i = 0; i < sizeof documented_properties / sizeof *documented_properties; i++)
        known |= !wcscmp(documented_properties[i], name);
    if (!known)
        VIOLATION(o->script, "GetLicenseProperty with a name that nobody documented: %ls", name);
    value->vt = VT_UI4;
    value->ulVal = (ULONG)wcslen(l->kid);
    return S_OK;
}

/* ---- IWMDRMLicenseQuery ---- */

static const license *by_kid(script *s, const wchar_t *kid)
{
    for (int i = 0; i < s->licenses; i++)
        if (!wcscmp(s->license[i].kid, kid))
            return &s->license[i];
    return NULL;
}

/* The action behind its prefix; NULL, which is a violation, for one that is not documented. */
static const wchar_t *action_of(script *s, const char *method, const wchar_t *prefix, BSTR given)
{
    if (!check_bstr(s, method, "an action", given))
        return NULL;
    for (size_t i = 0; i < sizeof documented_actions / sizeof *documented_actions; i++)
        if (!wcsncmp(given, prefix, wcslen(prefix)) &&
            !wcscmp(given + wcslen(prefix), documented_actions[i]))
            return documented_actions[i];
    VIOLATION(s, "%s for an action that nobody knows: %ls", method, given);
    return NULL;
}

static HRESULT STDMETHODCALLTYPE query_license_state(object *o, BSTR kid, DWORD count,
                                                     BSTR actions[], license_state_data data[])
{
    script *s = o->script;
    if (!enter(o, QUERY, "QueryLicenseState") || !actions || !data || !count)
        return E_INVALIDARG;
    if (FAILED(s->query_state))
        return s->query_state;
    if (!check_bstr(s, "QueryLicenseState", "the key ID", kid))
        return E_INVALIDARG;
    const license *l = by_kid(s, kid);
    if (!l)
        VIOLATION(s, "QueryLicenseState for a key ID that the enumeration never gave");
    for (DWORD i = 0; i < count; i++) {
        const wchar_t *action =
            action_of(s, "QueryLicenseState", L"LicenseStateData.", actions[i]);
        if (!action)
            return E_INVALIDARG;
        trace(s, "query %ls %ls", kid, actions[i]);
        if (wcscmp(action, L"Backup") && FAILED(s->other_actions))
            return s->other_actions;
        memset(&data[i], 0, sizeof data[i]);
        for (int r = 0; l && r < l->rights; r++)
            if (!wcscmp(l->right[r].action, action))
                data[i] = l->right[r].data;
    }
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE set_action_allowed_query_params(object *o, BOOL device_copy,
                                                                 DWORD application_security,
                                                                 BOOL device, BSTR certificate)
{
    if (!enter(o, QUERY, "SetActionAllowedQueryParams"))
        return E_INVALIDARG;
    trace(o->script, "query-params %d %lu %d %d", device_copy, application_security, device,
          certificate != NULL);
    return S_OK;
}

/* A result is zero where the action is allowed, otherwise the reasons why it is not. */
static HRESULT STDMETHODCALLTYPE query_action_allowed(object *o, BSTR kid, BSTR version,
                                                      DWORD count, BSTR actions[],
                                                      DWORD results[])
{
    script *s = o->script;
    if (!enter(o, QUERY, "QueryActionAllowed") || !actions || !results || !count)
        return E_INVALIDARG;
    if (FAILED(s->query_allowed))
        return s->query_allowed;
    if (!check_bstr(s, "QueryActionAllowed", "the key ID", kid) ||
        (version && !check_bstr(s, "QueryActionAllowed", "the version", version)))
        return E_INVALIDARG;
    const license *l = by_kid(s, kid);
    for (DWORD i = 0; i < count; i++) {
        const wchar_t *action = action_of(s, "QueryActionAllowed", L"ActionAllowed.", actions[i]);
        if (!action)
            return E_INVALIDARG;
        trace(s, "query-allowed %ls %ls", kid, actions[i]);
        results[i] = 4;
        for (int r = 0; l && r < l->rights; r++)
            if (!wcscmp(l->right[r].action, action) && l->right[r].data.category)
                results[i] = 0;
    }
    return S_OK;
}

/* ---- IWMDRMLicenseBackupRestoreStatus, IMFMediaEvent ---- */

static HRESULT STDMETHODCALLTYPE get_status(object *o, backup_restore_status *status)
{
    if (!enter(o, COOKIE, "GetStatus") || !status)
        return E_INVALIDARG;
    status->status = 2; /* DRM_BACKUPRESTORE_BEGIN */
    status->error = SysAllocString(L"none");
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE get_value(object *o, PROPVARIANT *value)
{
    if (!enter(o, EVENT, "GetValue") || !value)
        return E_INVALIDARG;
    value->vt = VT_EMPTY;
    if (o->event_type == 501 || o->event_type == 503) { /* progress */
        value->vt = VT_UNKNOWN;
        value->punkVal = (IUnknown *)make(COOKIE, o->script);
    }
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE get_type(object *o, DWORD *type)
{
    if (!enter(o, EVENT, "GetType") || !type)
        return E_INVALIDARG;
    *type = o->event_type;
    return S_OK;
}

/* ---- slots that nobody may call ---- */

static HRESULT STDMETHODCALLTYPE trap(object *o)
{
    VIOLATION(o->script, "a slot of %s that a backup program must not call", kind_names[o->kind]);
    return E_NOTIMPL;
}

#define UNKNOWN (void *)query_interface, (void *)add_ref, (void *)release
#define TRAP (void *)trap
#define TRAPS3 TRAP, TRAP, TRAP
#define TRAPS10 TRAPS3, TRAPS3, TRAPS3, TRAP

static void *const tables[][SLOTS] = {
    [PROVIDER] = {UNKNOWN, (void *)create_object, TRAPS10, TRAPS10, TRAPS10, TRAPS3},
    [MANAGEMENT] = {UNKNOWN, (void *)get_event, TRAPS3, (void *)cancel_async_operation,
                    (void *)shut_down, (void *)create_license_enumeration, TRAPS3, TRAP, TRAP,
                    (void *)backup_licenses, (void *)restore_licenses, TRAPS10, TRAPS10},
    [LICENSE] = {UNKNOWN, (void *)reset_enumeration, (void *)get_next, (void *)get_license,
                 (void *)get_license_property, TRAPS10, TRAPS10, TRAPS10},
    [QUERY] = {UNKNOWN, (void *)query_license_state, (void *)set_action_allowed_query_params,
               (void *)query_action_allowed, TRAPS10, TRAPS10, TRAPS10},
    [COOKIE] = {UNKNOWN, (void *)get_status, TRAPS10, TRAPS10, TRAPS10, TRAPS3},
    [EVENT] = {UNKNOWN, TRAPS10, TRAPS10, TRAPS10, (void *)get_type, TRAP, TRAP, (void *)get_value},
};

static object *make(kind k, script *s)
{
    object *o = calloc(1, sizeof *o);
    o->table = tables[k];
    o->kind = k;
    o->script = s;
    o->refs = 1;
    o->id = 1000 + (int)InterlockedIncrement(&made);
    InterlockedIncrement(&alive);
    trace(s, "created object=%d refs=1 %s", o->id, kind_names[k]);
    return o;
}

/* ---- exports ---- */

HRESULT STDMETHODCALLTYPE WMDRMStartup(void)
{
    script *s = read_script();
    if (!s)
        return E_UNEXPECTED; /* no script: the double is here by mistake */
    current = s;
    trace(s, "call WMDRMStartup");
    misbehave(s, "WMDRMStartup");
    check_apartment(s, "WMDRMStartup");
    if (FAILED(s->startup))
        return s->startup;
    trace(s, "started count=%ld", InterlockedIncrement(&started));
    return S_OK;
}

HRESULT STDMETHODCALLTYPE WMDRMShutdown(void)
{
    if (!current)
        return E_UNEXPECTED;
    trace(current, "call WMDRMShutdown");
    check_apartment(current, "WMDRMShutdown");
    if (started <= 0) {
        VIOLATION(current, "WMDRMShutdown without WMDRMStartup");
        return E_UNEXPECTED;
    }
    LONG left = InterlockedDecrement(&started);
    trace(current, "stopped count=%ld", left);
    misbehave(current, "WMDRMShutdown");
    if (!left && alive)
        VIOLATION(current, "WMDRMShutdown while %ld objects live", alive);
    return S_OK;
}

HRESULT STDMETHODCALLTYPE WMDRMCreateProvider(void **answer)
{
    script *s = current ? current : read_script();
    if (!s || !answer)
        return E_UNEXPECTED;
    *answer = NULL;
    trace(s, "call WMDRMCreateProvider");
    misbehave(s, "WMDRMCreateProvider");
    check_apartment(s, "WMDRMCreateProvider");
    if (started <= 0) {
        VIOLATION(s, "WMDRMCreateProvider before WMDRMStartup");
        return E_UNEXPECTED;
    }
    if (FAILED(s->provider))
        return s->provider;
    *answer = make(PROVIDER, s);
    return S_OK;
}
