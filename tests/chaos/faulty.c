/* A PKCS#11 module around another one that fails as a script tells it to. Built by the tests (build.py), shipped nowhere.
 *
 * FAULTY_PKCS11_MODULE  the module that does the work
 * FAULTY_PKCS11_SCRIPT  the rules; read again within 2 ms after the file was replaced, so faults change while a process runs
 * FAULTY_PKCS11_COUNTS  a file for the counts, mapped by every process that names it; without it they are the process's own
 *
 * A rule is a line: FUNCTION WHEN ACTION [times N]. Words that follow a '#' mean nothing.
 *   FUNCTION  a name of the function list. "C_Sign" is a call that asks for a signature; python-pkcs11 asks for the length
 *             first, and that is "C_Sign.length".
 *   WHEN      always | nth N | every N | from N | between A B | probability P seed S | for SECONDS
 *             Calls are counted from the moment the script was put in place, over all processes that share the counts.
 *   ACTION    return RV      the module is not asked
 *             lose RV        the module is asked, and its answer is thrown away
 *             delay MS       then the next rule is looked at; so do the two below
 *             drop-sessions  C_CloseAllSessions for real, then go on
 *             forget-login   C_Logout for real, then go on
 *             hang           for ever
 *             crash          abort()
 *             corrupt        C_Sign: one bit of the signature is turned over
 *             lock-pin N     C_Login: CKR_PIN_LOCKED once N wrong PINs were counted, 0 for at once
 *             limit N        C_OpenSession: CKR_SESSION_COUNT while this process has N sessions open
 *             vouch          C_GetAttributeValue: keys are local, always sensitive, never extractable, whatever is true
 * A script that cannot be understood ends the process: a test must not pass because its fault never happened.
 *
 * Names and numbers are those of PKCS#11 v2.40; nothing is included from a vendor's header.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word; /* CK_ULONG, a handle or a pointer: on the platforms we test on, all are one register wide */
typedef word CK_RV;

/* CK_FUNCTION_LIST in its fixed order (v2.40, 3.6), and of each the number of arguments. */
#define FUNCTIONS(F)                                                                                                   \
    F(C_Initialize, 1) F(C_Finalize, 1) F(C_GetInfo, 1) F(C_GetFunctionList, 1) F(C_GetSlotList, 3)                    \
    F(C_GetSlotInfo, 2) F(C_GetTokenInfo, 2) F(C_GetMechanismList, 3) F(C_GetMechanismInfo, 3) F(C_InitToken, 4)       \
    F(C_InitPIN, 3) F(C_SetPIN, 5) F(C_OpenSession, 5) F(C_CloseSession, 1) F(C_CloseAllSessions, 1)                   \
    F(C_GetSessionInfo, 2) F(C_GetOperationState, 3) F(C_SetOperationState, 5) F(C_Login, 4) F(C_Logout, 1)            \
    F(C_CreateObject, 4) F(C_CopyObject, 5) F(C_DestroyObject, 2) F(C_GetObjectSize, 3) F(C_GetAttributeValue, 4)      \
    F(C_SetAttributeValue, 4) F(C_FindObjectsInit, 3) F(C_FindObjects, 4) F(C_FindObjectsFinal, 1) F(C_EncryptInit, 3) \
    F(C_Encrypt, 5) F(C_EncryptUpdate, 5) F(C_EncryptFinal, 3) F(C_DecryptInit, 3) F(C_Decrypt, 5)                     \
    F(C_DecryptUpdate, 5) F(C_DecryptFinal, 3) F(C_DigestInit, 2) F(C_Digest, 5) F(C_DigestUpdate, 3) F(C_DigestKey, 2) \
    F(C_DigestFinal, 3) F(C_SignInit, 3) F(C_Sign, 5) F(C_SignUpdate, 3) F(C_SignFinal, 3) F(C_SignRecoverInit, 3)     \
    F(C_SignRecover, 5) F(C_VerifyInit, 3) F(C_Verify, 5) F(C_VerifyUpdate, 3) F(C_VerifyFinal, 3)                     \
    F(C_VerifyRecoverInit, 3) F(C_VerifyRecover, 5) F(C_DigestEncryptUpdate, 5) F(C_DecryptDigestUpdate, 5)            \
    F(C_SignEncryptUpdate, 5) F(C_DecryptVerifyUpdate, 5) F(C_GenerateKey, 5) F(C_GenerateKeyPair, 8) F(C_WrapKey, 6)  \
    F(C_UnwrapKey, 8) F(C_DeriveKey, 6) F(C_SeedRandom, 3) F(C_GenerateRandom, 3) F(C_GetFunctionStatus, 1)            \
    F(C_CancelFunction, 1) F(C_WaitForSlotEvent, 3)

#define INDEX(name, arity) IX_##name,
enum { FUNCTIONS(INDEX) LISTED, IX_SIGN_LENGTH = LISTED, NAMES };
#define NAME(name, arity) #name,
static const char *const names[NAMES] = {FUNCTIONS(NAME) "C_Sign.length"};
_Static_assert(LISTED == 68, "CK_FUNCTION_LIST of v2.40 has 68 functions");

typedef void (*function)(void);
typedef struct {
    unsigned char version[2];
    function functions[LISTED];
} CK_FUNCTION_LIST;

static const struct {
    const char *name;
    CK_RV value;
} return_values[] = {
    {"CKR_OK", 0x000}, {"CKR_CANCEL", 0x001}, {"CKR_HOST_MEMORY", 0x002}, {"CKR_SLOT_ID_INVALID", 0x003},
    {"CKR_GENERAL_ERROR", 0x005}, {"CKR_FUNCTION_FAILED", 0x006}, {"CKR_ARGUMENTS_BAD", 0x007},
    {"CKR_NEED_TO_CREATE_THREADS", 0x009}, {"CKR_CANT_LOCK", 0x00A}, {"CKR_ATTRIBUTE_READ_ONLY", 0x010},
    {"CKR_ATTRIBUTE_SENSITIVE", 0x011}, {"CKR_ATTRIBUTE_TYPE_INVALID", 0x012}, {"CKR_ATTRIBUTE_VALUE_INVALID", 0x013},
    {"CKR_DATA_INVALID", 0x020}, {"CKR_DATA_LEN_RANGE", 0x021}, {"CKR_DEVICE_ERROR", 0x030},
    {"CKR_DEVICE_MEMORY", 0x031}, {"CKR_DEVICE_REMOVED", 0x032}, {"CKR_FUNCTION_CANCELED", 0x050},
    {"CKR_FUNCTION_NOT_SUPPORTED", 0x054}, {"CKR_KEY_HANDLE_INVALID", 0x060}, {"CKR_KEY_SIZE_RANGE", 0x062},
    {"CKR_KEY_TYPE_INCONSISTENT", 0x063}, {"CKR_KEY_FUNCTION_NOT_PERMITTED", 0x068}, {"CKR_MECHANISM_INVALID", 0x070},
    {"CKR_MECHANISM_PARAM_INVALID", 0x071}, {"CKR_OBJECT_HANDLE_INVALID", 0x082}, {"CKR_OPERATION_ACTIVE", 0x090},
    {"CKR_OPERATION_NOT_INITIALIZED", 0x091}, {"CKR_PIN_INCORRECT", 0x0A0}, {"CKR_PIN_INVALID", 0x0A1},
    {"CKR_PIN_LEN_RANGE", 0x0A2}, {"CKR_PIN_EXPIRED", 0x0A3}, {"CKR_PIN_LOCKED", 0x0A4}, {"CKR_SESSION_CLOSED", 0x0B0},
    {"CKR_SESSION_COUNT", 0x0B1}, {"CKR_SESSION_HANDLE_INVALID", 0x0B3}, {"CKR_SESSION_READ_ONLY", 0x0B5},
    {"CKR_SESSION_EXISTS", 0x0B6}, {"CKR_SIGNATURE_INVALID", 0x0C0}, {"CKR_SIGNATURE_LEN_RANGE", 0x0C1},
    {"CKR_TEMPLATE_INCOMPLETE", 0x0D0}, {"CKR_TEMPLATE_INCONSISTENT", 0x0D1}, {"CKR_TOKEN_NOT_PRESENT", 0x0E0},
    {"CKR_TOKEN_NOT_RECOGNIZED", 0x0E1}, {"CKR_TOKEN_WRITE_PROTECTED", 0x0E2}, {"CKR_USER_ALREADY_LOGGED_IN", 0x100},
    {"CKR_USER_NOT_LOGGED_IN", 0x101}, {"CKR_USER_PIN_NOT_INITIALIZED", 0x102}, {"CKR_USER_TYPE_INVALID", 0x103},
    {"CKR_RANDOM_SEED_NOT_SUPPORTED", 0x120}, {"CKR_RANDOM_NO_RNG", 0x121}, {"CKR_BUFFER_TOO_SMALL", 0x150},
    {"CKR_CRYPTOKI_NOT_INITIALIZED", 0x190}, {"CKR_CRYPTOKI_ALREADY_INITIALIZED", 0x191}, {"CKR_MUTEX_BAD", 0x1A0},
    {"CKR_FUNCTION_REJECTED", 0x200}, {"CKR_VENDOR_DEFINED", 0x80000000},
};
enum { CKR_OK = 0, CKR_GENERAL_ERROR = 5, CKR_ARGUMENTS_BAD = 7, CKR_PIN_INCORRECT = 0xA0, CKR_PIN_LOCKED = 0xA4 };
enum { CKR_SESSION_COUNT = 0xB1 };

/* ---- what a script says ------------------------------------------------------------------------------------------ */

enum when { ALWAYS, NTH, EVERY, FROM, BETWEEN, PROBABILITY, FOR };
enum action { RETURN, LOSE, DELAY, DROP_SESSIONS, FORGET_LOGIN, HANG, CRASH, CORRUPT, LOCK_PIN, LIMIT, VOUCH };
static const char *const actions[] = {"return", "lose",  "delay",   "drop-sessions", "forget-login",
                                      "hang",   "crash", "corrupt", "lock-pin",      "limit",        "vouch"};
enum { ACTIONS = sizeof actions / sizeof *actions, MOST_RULES = 64 };

struct rule {
    int function;
    enum when when;
    uint64_t first, last; /* of calls; `first` is the seed of a probability */
    double number;        /* a probability, or seconds */
    enum action action;
    word value;           /* return value, milliseconds, count */
    uint64_t times;       /* 0: as often as it applies */
};

struct identity {
    uint64_t inode, modified_ns, size;
};

/* The counts. Python reads what stands before `lock` (faults.py); every field there is a uint64_t. */
struct shared {
    uint64_t ready;
    uint64_t calls[NAMES];
    uint64_t faults[NAMES];
    uint64_t signatures; /* that the module really made, also those that were corrupted or lost */
    uint64_t wrong_pins;
    pthread_mutex_t lock; /* robust: a process may be killed while it holds it */
    struct identity script;
    uint64_t base[NAMES];
    uint64_t fired[MOST_RULES];
};
enum { READY = 0x46415531 }; /* "FAU1" */

static CK_FUNCTION_LIST *real;
static struct shared *shared;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Taken for reading around every call of the real module, for writing around what pulls the rug from under others. */
static pthread_rwlock_t calls_lock;

/* All below is guarded by shared->lock. */
static struct rule rules[MOST_RULES];
static int rule_count;
static struct identity loaded;
static uint64_t looked_ns;

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void refuse(const char *line, const char *why) {
    fprintf(stderr, "faulty PKCS#11 module: %s: %s\n", why, line);
    abort();
}

static word parse_number(const char *text, const char *line) {
    char *end = NULL;
    word value = text ? strtoul(text, &end, 0) : 0;
    if (!text || !*text || *end) refuse(line, "a number is missing");
    return value;
}

static double parse_real(const char *text, const char *line) {
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0;
    if (!text || !*text || *end) refuse(line, "a number is missing");
    return value;
}

static word parse_return_value(const char *text, const char *line) {
    for (size_t i = 0; text && i < sizeof return_values / sizeof *return_values; i++)
        if (!strcmp(text, return_values[i].name)) return return_values[i].value;
    return parse_number(text, line);
}

static int has_session(int function) {
    return (function > IX_C_OpenSession && function != IX_C_CloseAllSessions && function != IX_C_WaitForSlotEvent) ||
           function == IX_C_InitPIN || function == IX_C_SetPIN;
}

static void check_place(const struct rule *rule, const char *line) {
    if (rule->action == CORRUPT && rule->function != IX_C_Sign) refuse(line, "only C_Sign is corrupted");
    if (rule->action == LOCK_PIN && rule->function != IX_C_Login) refuse(line, "only C_Login locks a PIN");
    if (rule->action == LIMIT && rule->function != IX_C_OpenSession) refuse(line, "only C_OpenSession has a limit");
    if (rule->action == VOUCH && rule->function != IX_C_GetAttributeValue) refuse(line, "only C_GetAttributeValue vouches");
    if ((rule->action == DROP_SESSIONS || rule->action == FORGET_LOGIN) && !has_session(rule->function))
        refuse(line, "the function has no session");
}

static void parse_when(struct rule *rule, char **rest, const char *line) {
    const char *word_read = strtok_r(NULL, " \t\n", rest);
    if (!word_read) refuse(line, "when?");
#define NEXT strtok_r(NULL, " \t\n", rest)
    if (!strcmp(word_read, "always")) {
        rule->when = ALWAYS;
    } else if (!strcmp(word_read, "nth")) {
        rule->when = NTH, rule->first = parse_number(NEXT, line);
    } else if (!strcmp(word_read, "every")) {
        rule->when = EVERY, rule->first = parse_number(NEXT, line);
        if (!rule->first) refuse(line, "every 0?");
    } else if (!strcmp(word_read, "from")) {
        rule->when = FROM, rule->first = parse_number(NEXT, line);
    } else if (!strcmp(word_read, "between")) {
        rule->when = BETWEEN, rule->first = parse_number(NEXT, line), rule->last = parse_number(NEXT, line);
    } else if (!strcmp(word_read, "probability")) {
        rule->when = PROBABILITY, rule->number = parse_real(NEXT, line);
        const char *seed = NEXT;
        if (!seed || strcmp(seed, "seed")) refuse(line, "a probability needs a seed");
        rule->first = parse_number(NEXT, line);
    } else if (!strcmp(word_read, "for")) {
        rule->when = FOR, rule->number = parse_real(NEXT, line);
    } else {
        refuse(line, "when?");
    }
}

static void parse_action(struct rule *rule, char **rest, const char *line) {
    const char *word_read = NEXT;
    int action = 0;
    while (action < ACTIONS && (!word_read || strcmp(word_read, actions[action]))) action++;
    if (action == ACTIONS) refuse(line, "no such action");
    rule->action = (enum action)action;
    if (action == RETURN || action == LOSE) rule->value = parse_return_value(NEXT, line);
    if (action == DELAY || action == LOCK_PIN || action == LIMIT) rule->value = parse_number(NEXT, line);
    word_read = NEXT;
    if (word_read && !strcmp(word_read, "times")) {
        rule->times = parse_number(NEXT, line);
        word_read = NEXT;
    }
    if (word_read) refuse(line, "words too many");
    check_place(rule, line);
#undef NEXT
}

static void parse_rule(char *line) {
    char whole[512], *rest = NULL;
    snprintf(whole, sizeof whole, "%s", line);
    line[strcspn(line, "#")] = 0;
    const char *name = strtok_r(line, " \t\n", &rest);
    if (!name) return;
    if (rule_count == MOST_RULES) refuse(whole, "too many rules");
    struct rule *rule = &rules[rule_count];
    memset(rule, 0, sizeof *rule);
    while (rule->function < NAMES && strcmp(name, names[rule->function])) rule->function++;
    if (rule->function == NAMES) refuse(whole, "no such function");
    parse_when(rule, &rest, whole);
    parse_action(rule, &rest, whole);
    rule_count++;
}

static struct identity look_at_script(const char *path) {
    struct stat told;
    struct identity found = {0, 0, 0};
    if (path && !stat(path, &told)) {
        found.inode = told.st_ino;
        found.modified_ns = (uint64_t)told.st_mtim.tv_sec * 1000000000u + (uint64_t)told.st_mtim.tv_nsec;
        found.size = (uint64_t)told.st_size;
    }
    return found;
}

static int same(const struct identity *a, const struct identity *b) {
    return a->inode == b->inode && a->modified_ns == b->modified_ns && a->size == b->size;
}

static void read_script_again(void) {
    const char *path = getenv("FAULTY_PKCS11_SCRIPT");
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    if (looked_ns && now - looked_ns < 2000000u && same(&loaded, &shared->script)) return;
    looked_ns = now;
    struct identity found = look_at_script(path);
    if (!same(&found, &loaded)) {
        rule_count = 0;
        char line[512];
        FILE *script = found.inode ? fopen(path, "re") : NULL;
        while (script && fgets(line, sizeof line, script)) parse_rule(line);
        if (script) fclose(script);
        loaded = found;
    }
    if (!same(&found, &shared->script)) { /* the first of the processes that sees it */
        shared->script = found;
        memcpy(shared->base, shared->calls, sizeof shared->base);
        memset(shared->fired, 0, sizeof shared->fired);
    }
}

static double chance(uint64_t seed, uint64_t call) { /* splitmix64: the same calls fail in every run */
    uint64_t x = seed * 0x9E3779B97F4A7C15u + call;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static int applies(const struct rule *rule, uint64_t call) {
    switch (rule->when) {
    case ALWAYS: return 1;
    case NTH: return call == rule->first;
    case EVERY: return call % rule->first == 0;
    case FROM: return call >= rule->first;
    case BETWEEN: return call >= rule->first && call <= rule->last;
    case PROBABILITY: return chance(rule->first, call) < rule->number;
    case FOR: return (double)(nanoseconds(CLOCK_REALTIME) - loaded.modified_ns) / 1e9 < rule->number;
    }
    return 0;
}

/* ---- what becomes of a call -------------------------------------------------------------------------------------- */

struct verdict {
    word delay_ms;
    int drop_sessions, forget_login; /* before going on */
    int ends;                        /* one of the actions below decides */
    enum action action;
    word value;
};

static long sessions_open; /* of this process; guarded by shared->lock */

static void lock_shared(void) {
    if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD) pthread_mutex_consistent(&shared->lock);
}

static int bites(const struct rule *rule) {
    if (rule->action == LOCK_PIN) return shared->wrong_pins >= rule->value;
    if (rule->action == LIMIT) return sessions_open >= (long)rule->value;
    return 1;
}

static struct verdict decide(int function) {
    struct verdict verdict = {0, 0, 0, 0, RETURN, 0};
    int fault = 0;
    lock_shared();
    read_script_again();
    uint64_t call = ++shared->calls[function] - shared->base[function];
    for (int i = 0; i < rule_count && !verdict.ends; i++) {
        const struct rule *rule = &rules[i];
        if (rule->function != function || !applies(rule, call) || !bites(rule)) continue;
        if (rule->times && shared->fired[i] >= rule->times) continue;
        shared->fired[i]++;
        fault = 1;
        if (rule->action == DELAY) verdict.delay_ms += rule->value;
        else if (rule->action == DROP_SESSIONS) verdict.drop_sessions = 1;
        else if (rule->action == FORGET_LOGIN) verdict.forget_login = 1;
        else verdict.ends = 1, verdict.action = rule->action, verdict.value = rule->value;
    }
    shared->faults[function] += (uint64_t)fault;
    pthread_mutex_unlock(&shared->lock);
    return verdict;
}

static void count(uint64_t *what) {
    lock_shared();
    ++*what;
    pthread_mutex_unlock(&shared->lock);
}

static void sleep_ms(word milliseconds) {
    struct timespec left = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000L};
    prctl(PR_SET_TIMERSLACK, 1UL); /* of this thread; by default a sleep may take 50 us longer */
    while (nanosleep(&left, &left) && errno == EINTR) continue;
}

static void pull_the_rug(const struct verdict *verdict, word session) {
    struct {
        word slot, state, flags, device_error;
    } info; /* CK_SESSION_INFO */
    pthread_rwlock_wrlock(&calls_lock);
    if (verdict->forget_login) ((CK_RV(*)(word))real->functions[IX_C_Logout])(session);
    if (verdict->drop_sessions &&
        ((CK_RV(*)(word, void *))real->functions[IX_C_GetSessionInfo])(session, &info) == CKR_OK) {
        ((CK_RV(*)(word))real->functions[IX_C_CloseAllSessions])(info.slot);
        lock_shared();
        sessions_open = 0;
        pthread_mutex_unlock(&shared->lock);
    }
    pthread_rwlock_unlock(&calls_lock);
}

/* Do what comes before the real call. Returns 1 when there will be none, with the answer in *rv. */
static int before(const struct verdict *verdict, word first_argument, CK_RV *rv) {
    struct rlimit none = {0, 0};
    if (verdict->delay_ms) sleep_ms(verdict->delay_ms);
    if (verdict->drop_sessions || verdict->forget_login) pull_the_rug(verdict, first_argument);
    if (!verdict->ends) return 0;
    switch (verdict->action) {
    case HANG:
        for (;;) pause();
    case CRASH:
        setrlimit(RLIMIT_CORE, &none); /* what is in memory must not lie on a disk */
        abort();
    case RETURN: *rv = verdict->value; return 1;
    case LOCK_PIN: *rv = CKR_PIN_LOCKED; return 1;
    case LIMIT: *rv = CKR_SESSION_COUNT; return 1;
    default: return 0;
    }
}

static CK_RV after(const struct verdict *verdict, int function, CK_RV rv) {
    if (rv == CKR_OK && (function == IX_C_OpenSession || function == IX_C_CloseSession ||
                         function == IX_C_CloseAllSessions || function == IX_C_Finalize)) {
        lock_shared();
        sessions_open = function == IX_C_OpenSession ? sessions_open + 1 : function == IX_C_CloseSession ? sessions_open - 1 : 0;
        pthread_mutex_unlock(&shared->lock);
    }
    if (function == IX_C_Login && rv == CKR_PIN_INCORRECT) count(&shared->wrong_pins);
    return verdict->ends && verdict->action == LOSE ? verdict->value : rv;
}

/* ---- the function list ------------------------------------------------------------------------------------------- */

#define TYPES1 word
#define TYPES2 TYPES1, word
#define TYPES3 TYPES2, word
#define TYPES4 TYPES3, word
#define TYPES5 TYPES4, word
#define TYPES6 TYPES5, word
#define TYPES8 TYPES6, word, word
#define TAKEN1 word a
#define TAKEN2 TAKEN1, word b
#define TAKEN3 TAKEN2, word c
#define TAKEN4 TAKEN3, word d
#define TAKEN5 TAKEN4, word e
#define TAKEN6 TAKEN5, word f
#define TAKEN8 TAKEN6, word g, word h
#define GIVEN1 a
#define GIVEN2 GIVEN1, b
#define GIVEN3 GIVEN2, c
#define GIVEN4 GIVEN3, d
#define GIVEN5 GIVEN4, e
#define GIVEN6 GIVEN5, f
#define GIVEN8 GIVEN6, g, h

/* CK_BBOOL, the only argument of another width (C_GetSlotList), comes and goes in the low octet of its register. */
#define WRAPPER(name, arity)                                                                                           \
    static CK_RV faulty_##name(TAKEN##arity) {                                                                         \
        struct verdict verdict = decide(IX_##name);                                                                    \
        CK_RV rv;                                                                                                      \
        if (before(&verdict, a, &rv)) return rv;                                                                       \
        pthread_rwlock_rdlock(&calls_lock);                                                                            \
        rv = ((CK_RV(*)(TYPES##arity))real->functions[IX_##name])(GIVEN##arity);                                       \
        pthread_rwlock_unlock(&calls_lock);                                                                            \
        return after(&verdict, IX_##name, rv);                                                                         \
    }
FUNCTIONS(WRAPPER)

enum { CKA_LOCAL = 0x163, CKA_NEVER_EXTRACTABLE = 0x164, CKA_ALWAYS_SENSITIVE = 0x165 };

/* So that keys whose private octets a test knows can be used like those that were made in the token. */
static CK_RV faulty_get_attribute_value(word session, word object, word attributes, word number) {
    struct {
        word type;
        unsigned char *value;
        word octets;
    } *attribute = (void *)attributes; /* CK_ATTRIBUTE */
    struct verdict verdict = decide(IX_C_GetAttributeValue);
    CK_RV rv;
    if (before(&verdict, session, &rv)) return rv;
    pthread_rwlock_rdlock(&calls_lock);
    rv = ((CK_RV(*)(word, word, word, word))real->functions[IX_C_GetAttributeValue])(session, object, attributes, number);
    pthread_rwlock_unlock(&calls_lock);
    for (word i = 0; rv == CKR_OK && verdict.ends && verdict.action == VOUCH && i < number; i++)
        if (attribute[i].type >= CKA_LOCAL && attribute[i].type <= CKA_ALWAYS_SENSITIVE && attribute[i].value &&
            attribute[i].octets == 1)
            attribute[i].value[0] = 1;
    return after(&verdict, IX_C_GetAttributeValue, rv);
}

static CK_RV ask_for_signature(word session, word data, word data_octets, unsigned char *signature, word *octets) {
    pthread_rwlock_rdlock(&calls_lock);
    CK_RV rv = ((CK_RV(*)(word, word, word, unsigned char *, word *))real->functions[IX_C_Sign])(
        session, data, data_octets, signature, octets);
    pthread_rwlock_unlock(&calls_lock);
    return rv;
}

static CK_RV faulty_sign(word session, word data, word data_octets, unsigned char *signature, word *octets) {
    int index = signature ? IX_C_Sign : IX_SIGN_LENGTH;
    struct verdict verdict = decide(index);
    CK_RV rv;
    if (before(&verdict, session, &rv)) {
        unsigned char nobodys[1024]; /* v2.40 knows no other way to end an operation than to finish it */
        word nobodys_octets = sizeof nobodys;
        if (rv != CKR_OK) ask_for_signature(session, data, data_octets, nobodys, &nobodys_octets);
        return rv;
    }
    rv = ask_for_signature(session, data, data_octets, signature, octets);
    if (signature && rv == CKR_OK) {
        count(&shared->signatures);
        /* The lowest bit of the last octet: the number stays within its range, and is another one. */
        if (verdict.ends && verdict.action == CORRUPT && *octets) signature[*octets - 1] ^= 1;
    }
    return after(&verdict, index, rv);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

#define FILL(name, arity) (function)faulty_##name,
static CK_FUNCTION_LIST faulty = {{2, 40}, {FUNCTIONS(FILL)}};

static void map_counts(void) {
    const char *path = getenv("FAULTY_PKCS11_COUNTS");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (path && (file < 0 || flock(file, LOCK_EX) || ftruncate(file, sizeof *shared))) refuse(path, strerror(errno));
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, file < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (shared == MAP_FAILED) refuse(path ? path : "no file", strerror(errno));
    if (shared->ready != READY) {
        pthread_mutexattr_t robust;
        pthread_mutexattr_init(&robust);
        pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&shared->lock, &robust);
        shared->ready = READY;
    }
    if (file >= 0) {
        flock(file, LOCK_UN); /* the mapping keeps the open file, and with it would keep the lock */
        close(file);
    }
}

static void load(void) {
    const char *path = getenv("FAULTY_PKCS11_MODULE");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_RV (*get_list)(CK_FUNCTION_LIST **) = NULL;
    pthread_rwlockattr_t writers_first; /* or the rug would never be pulled under load */
    pthread_rwlockattr_init(&writers_first);
    pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&calls_lock, &writers_first);
    map_counts();
    if (module) *(void **)&get_list = dlsym(module, "C_GetFunctionList");
    if (!get_list || get_list(&real) != CKR_OK) {
        fprintf(stderr, "faulty PKCS#11 module: FAULTY_PKCS11_MODULE is no module\n");
        real = NULL;
    }
    faulty.functions[IX_C_Sign] = (function)faulty_sign;
    faulty.functions[IX_C_GetAttributeValue] = (function)faulty_get_attribute_value;
    faulty.functions[IX_C_GetFunctionList] = (function)C_GetFunctionList;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
    pthread_once(&once, load);
    if (!list) return CKR_ARGUMENTS_BAD;
    *list = &faulty;
    return real ? CKR_OK : CKR_GENERAL_ERROR;
}
