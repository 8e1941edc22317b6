/* The documented contract, written down from the reference alone: identifiers, numbers, layouts.
 *
 * The headers of mingw-w64 declare some of these interfaces too. They are left out on purpose: the
 * binding and this double each derive the numbers from the documents, and disagree loudly when one
 * of them is wrong.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#define COBJMACROS
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <objbase.h>
#include <oleauto.h>

/* wmsdkidl.h */
static const GUID iid_unknown = {0x00000000, 0, 0, {0xC0, 0, 0, 0, 0, 0, 0, 0x46}};
static const GUID iid_license_backup = {
    0x05E5AC9F, 0x3FB6, 0x4508, {0xBB, 0x43, 0xA4, 0x06, 0x7B, 0xA1, 0xEB, 0xE8}};
static const GUID iid_license_restore = {
    0xC70B6334, 0xA22E, 0x4EFB, {0xA2, 0x45, 0x15, 0xE6, 0x5A, 0x00, 0x4A, 0x13}};
static const GUID iid_backup_restore_props = {
    0x3C8E0DA6, 0x996F, 0x4FF3, {0xA1, 0xAF, 0x48, 0x38, 0xF9, 0x37, 0x7E, 0x2E}};
static const GUID iid_status_callback = {
    0x6D7CDC70, 0x9888, 0x11D3, {0x8E, 0xDC, 0x00, 0xC0, 0x4F, 0x61, 0x09, 0xCF}};

/* wmdrmsdk.h */
static const GUID iid_provider = {
    0x98DC8917, 0x8640, 0x4B1D, {0x9F, 0x1E, 0xA5, 0x90, 0xD4, 0x03, 0x57, 0xEE}};
static const GUID iid_event_generator = {
    0xCE11CC91, 0xE615, 0x4E0B, {0xBE, 0x1F, 0x09, 0xB5, 0xAE, 0xC0, 0x33, 0xF2}};
static const GUID iid_license_management = {
    0xF4828DC7, 0x8945, 0x4D05, {0xAB, 0x05, 0x66, 0x7A, 0xB9, 0x9D, 0x29, 0xEE}};
static const GUID iid_license = {
    0xC9E0A5F3, 0xDD22, 0x4DC4, {0xB7, 0x95, 0x88, 0xFA, 0x91, 0xF0, 0x51, 0x6B}};
static const GUID iid_license_query = {
    0x20B970DF, 0x0A58, 0x4D3C, {0x81, 0x7C, 0x4E, 0x3C, 0xCB, 0xB2, 0x53, 0xAC}};
static const GUID iid_backup_restore_status = {
    0xF653C5A2, 0x0EB3, 0x4503, {0x9D, 0x88, 0xC2, 0x00, 0x55, 0x2D, 0x0D, 0x55}};

enum { TYPE_DWORD, TYPE_STRING, TYPE_BINARY, TYPE_BOOL, TYPE_QWORD, TYPE_WORD, TYPE_GUID };

enum {
    STATUS_ERROR_ = 0,
    STATUS_BEGIN = 21,
    STATUS_INDIVIDUALIZE = 24,
    STATUS_NEEDS_INDIVIDUALIZATION = 25,
    STATUS_END = 27,
    STATUS_CONNECTING = 28,
    STATUS_DISCONNECTING = 29
};

#define BACKUP_OVERWRITE 1u
#define RESTORE_INDIVIDUALIZE 2u

#define HR_NEEDS_INDIVIDUALIZATION ((HRESULT)0xC00D2728)
#define HR_BACKUP_EXISTS ((HRESULT)0xC00D2742)
#define HR_BACKUP_CORRUPT ((HRESULT)0xC00D2743)
#define HR_BUSY ((HRESULT)0xC00D2744)
#define HR_CANCELED ((HRESULT)0xC00D2768)

typedef struct status_callback status_callback;
struct status_callback {
    const struct {
        HRESULT(STDMETHODCALLTYPE *QueryInterface)(status_callback *, REFIID, void **);
        ULONG(STDMETHODCALLTYPE *AddRef)(status_callback *);
        ULONG(STDMETHODCALLTYPE *Release)(status_callback *);
        HRESULT(STDMETHODCALLTYPE *OnStatus)
        (status_callback *, int status, HRESULT hr, int type, BYTE *value, void *context);
    } *table;
};

typedef struct {
    DWORD version;
    BSTR kid, rights, allowed_source_ids;
} license_filter;

typedef struct {
    DWORD stream_id, category, num_counts, count[4], num_dates;
    FILETIME datetime[4];
    DWORD vague;
} license_state_data;

/* What IWMDRMLicenseBackupRestoreStatus::GetStatus fills. */
typedef struct {
    int status; /* MSDRM_STATUS */
    BSTR error;
} backup_restore_status;

/* The actions of QueryLicenseState and QueryActionAllowed, behind their prefixes. */
static const wchar_t *const documented_actions[] = {
    L"Play",          L"Copy",    L"PlaylistBurn",    L"CreateThumbnailImage", L"Print.redbook",
    L"Transfer.SDMI", L"Backup", L"Transfer.NONSDMI", L"CollaborativePlay"};

/* The names of GetLicenseProperty. */
static const wchar_t *const documented_properties[] = {
    L"SAPLEVEL", L"SAPRequired", L"SOURCEID", L"PRIORITY", L"UplinkID", L"WMDRMNET_REVOCATION"};

#endif
