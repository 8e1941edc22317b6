/* The object of WMCreateBackupRestorer, and the thread that works for it. */
#ifndef RESTORER_H
#define RESTORER_H

#include "double.h"

typedef struct restorer restorer;

enum { BACKUP, RESTORE, PROPS, INTERFACES };

/* Each interface pointer points at one of these; `part` finds the way back to the object. */
typedef struct {
    void *const *table;
    restorer *owner;
    int part;
} interface_part;

struct restorer {
    interface_part part[INTERFACES];
    script *script;
    int id;
    LONG refs;
    CRITICAL_SECTION lock;
    int running; /* 0 or the operation's name */
    HANDLE cancel;
    status_callback *callback;
    wchar_t backup_path[32768], restore_path[32768];
};

/* Prove a callback's manners and take a reference; NULL when it is no IWMStatusCallback. */
status_callback *take_callback(restorer *r, IUnknown *given);
void drop_callback(restorer *r, status_callback *callback);

/* Whether the backup folder holds one of the files that a backup writes by itself. */
BOOL backup_exists(restorer *r);

/* Begin a backup ('b') or a restore ('r') on a thread of its own. */
HRESULT start(restorer *r, char name, DWORD flags, status_callback *callback);

#endif
