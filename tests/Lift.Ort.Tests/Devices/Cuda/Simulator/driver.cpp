// A libcuda.so.1 and libnvrtc for a machine without a GPU. Device memory is host memory that only copies, launches and libraries may touch: between
// their calls it is locked, so that host code which follows a device address ends with a fault, as it would on a GPU machine. Streams are in order by
// nature. The compiler is g++ with on_cpu.h; its "cubin" is a shared library, and a launch runs the kernel of that name in it.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <map>
#include <mutex>
#include <string>
#include <vector>

struct SimulatorIndex { unsigned x, y, z; };
extern "C" {
SimulatorIndex simulator_grid, simulator_block, simulator_block_index, simulator_thread_index;
unsigned char* simulator_shared;
void simulator_sync();
double simulator_exchange(double value, int other);
void simulator_open();
void simulator_close();
}

// ---- memory ------------------------------------------------------------------------------------------------------------------------
static std::recursive_mutex gate;
static const size_t arena_size = (size_t)64 << 30, page = 4096;
static char* arena;
static size_t top, used, limit = (size_t)8 << 30;
static int open_count;
static std::map<size_t, size_t> taken;                      // offset -> size
static std::multimap<size_t, size_t> spare;                 // size -> offset

static void protect(int rights) { if (arena && top) mprotect(arena, top, rights); }
// Locking costs a walk over all pages, so it is done after every 16th call: whoever follows a device address on the host does it often.
static bool locked;
static unsigned calls;
extern "C" void simulator_open() {
    gate.lock();
    if (open_count++ == 0 && locked) protect(PROT_READ | PROT_WRITE), locked = false;
    gate.unlock();
}
extern "C" void simulator_close() {
    gate.lock();
    if (--open_count == 0 && ++calls % 16 == 0) protect(PROT_NONE), locked = true;
    gate.unlock();
}
namespace { struct Opened { Opened() { gate.lock(); simulator_open(); } ~Opened() { simulator_close(); gate.unlock(); } }; }

// A test can make the device small.
extern "C" void simulator_limit(size_t bytes) { gate.lock(); limit = bytes; gate.unlock(); }

// What tests count: waits of the host, copies to it and from it, launches, allocations, and frees, which may wait as well.
enum { WAITS, TO_HOST, TO_DEVICE, LAUNCHES, ALLOCATIONS, FREES, KINDS };
static long long counts[KINDS];
extern "C" long long simulator_count(int what) { return what >= 0 && what < KINDS ? counts[what] : -1; }

// ---- threads of a block as fibers --------------------------------------------------------------------------------------------------
#if !defined(__x86_64__)
#error the fibers of the simulator are written for x86-64
#endif
asm(R"(
.text
.globl simulator_switch
simulator_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");
extern "C" void simulator_switch(void** save, void* load);

static const size_t stack_size = 64 << 10;
static char* stacks;
static void* fiber[1024];
static void* scheduler;
static bool done[1024];
static double exchange[1024];
static unsigned current;
static void (*kernel)(void**);
static void** arguments;

static void fiber_main() {
    kernel(arguments);
    done[current] = true;
    simulator_switch(&fiber[current], scheduler);
}

// A barrier: every thread gives way once, so all arrive before the first one goes on.
extern "C" void simulator_sync() { simulator_switch(&fiber[current], scheduler); }

extern "C" double simulator_exchange(double value, int other) {
    exchange[current] = value;
    simulator_sync();
    double result = exchange[current ^ (unsigned)other];
    simulator_sync();
    return result;
}

static const size_t shared_room = 256 << 10, shared_limit = 227 << 10;
static unsigned char* shared_memory;                         // up to a page that faults
static std::map<void*, int> opted;                           // kernel -> what it may take of it

static void launch(unsigned blocks, unsigned threads, unsigned shared) {
    if (!shared_memory) {
        shared_memory = (unsigned char*)mmap(0, shared_room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(shared_memory + shared_room, page, PROT_NONE);
    }
    shared = (shared + 15) / 16 * 16;
    simulator_shared = shared_memory + shared_room - shared;
    if (!stacks) stacks = (char*)mmap(0, 1024 * stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    simulator_grid = {blocks, 1, 1}, simulator_block = {threads, 1, 1};
    for (unsigned b = 0; b < blocks; b++) {
        simulator_block_index = {b, 0, 0};
        memset(simulator_shared, 0xff, shared);
        for (unsigned t = 0; t < threads; t++) {
            void** stack = (void**)(stacks + (t + 1) * stack_size) - 2;
            stack[0] = (void*)fiber_main;                    // return address; the stack is misaligned by 8 on entry, as after a call
            fiber[t] = stack - 6;
            done[t] = false;
        }
        for (bool any = true; any;) {
            any = false;
            for (unsigned t = 0; t < threads; t++)
                if (!done[t]) {
                    current = t, simulator_thread_index = {t, 0, 0};
                    simulator_switch(&scheduler, fiber[t]);
                    any |= !done[t];
                }
        }
    }
}

// ---- the driver --------------------------------------------------------------------------------------------------------------------
struct Program { std::string source, name; std::map<std::string, std::string> headers; std::string log, code; };

extern "C" {
int cuInit(unsigned) {
    Dl_info self;
    if (dladdr((void*)cuInit, &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);      // kernels find simulator_…
    if (const char* text = getenv("SIMULATOR_MEMORY")) limit = strtoull(text, 0, 10);
    return getenv("SIMULATOR_NO_DEVICE") ? 100 : 0;
}
int cuDriverGetVersion(int* v) { *v = 13000; return 0; }
int cuDeviceGetCount(int* n) { *n = 1; return 0; }
int cuDeviceGet(int* d, int i) { *d = 0; return i == 0 ? 0 : 101; }
int cuDeviceGetName(char* name, int n, int) { snprintf(name, n, "simulated GPU"); return 0; }
int cuDeviceGetAttribute(int* v, int a, int) { *v = a == 75 ? 9 : a == 76 ? 0 : a == 97 ? 227 << 10 : 4; return 0; }
int cuDevicePrimaryCtxRetain(void** c, int) { *c = (void*)1; return 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuMemGetInfo_v2(size_t* f, size_t* t) { *f = limit - used, *t = limit; return 0; }

int cuMemAlloc_v2(void** p, size_t n) {
    gate.lock();
    counts[ALLOCATIONS]++;
    if (!arena) arena = (char*)mmap(0, arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t size = (n + page - 1) / page * page;
    int result = used + size > limit ? 2 : 0;
    if (!result) {
        auto hole = spare.lower_bound(size);
        size_t at = top;
        if (hole != spare.end() && hole->first == size) at = hole->second, spare.erase(hole);
        else top += size;
        used += size;
        taken[at] = size;
        mprotect(arena + at, size, PROT_READ | PROT_WRITE);
        memset(arena + at, 0xcd, size);                      // memory that nobody cleared must not look cleared
        if (locked) mprotect(arena + at, size, PROT_NONE);
        *p = arena + at;
    }
    gate.unlock();
    return result;
}
int cuMemFree_v2(void* p) {
    gate.lock();
    counts[FREES]++;
    auto block = taken.find((char*)p - arena);
    bool known = block != taken.end();
    if (known) {
        used -= block->second;
        madvise(p, block->second, MADV_DONTNEED);
        spare.insert({block->second, block->first});
        taken.erase(block);
    }
    gate.unlock();
    return known ? 0 : 1;
}
int cuMemHostAlloc(void** p, size_t n, unsigned) { *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096); return 0; }
int cuMemFreeHost(void* p) { free(p); return 0; }
int cuMemcpyHtoDAsync_v2(void* d, const void* s, size_t n, void*) { Opened o; counts[TO_DEVICE]++; memcpy(d, s, n); return 0; }
int cuMemcpyDtoHAsync_v2(void* d, const void* s, size_t n, void*) { Opened o; counts[TO_HOST]++; memcpy(d, s, n); return 0; }
int cuMemcpyDtoDAsync_v2(void* d, const void* s, size_t n, void*) { Opened o; memcpy(d, s, n); return 0; }
int cuMemsetD8Async(void* d, unsigned char v, size_t n, void*) { Opened o; memset(d, v, n); return 0; }
int cuStreamCreate(void** s, unsigned) { *s = (void*)2; return 0; }
int cuStreamSynchronize(void*) { counts[WAITS]++; return 0; }
int cuStreamDestroy_v2(void*) { return 0; }
int cuEventCreate(void** e, unsigned) { *e = (void*)3; return 0; }
int cuEventRecord(void*, void*) { return 0; }
int cuEventQuery(void*) { return 600; }      // not ready: whoever asks has to be able to wait
int cuEventSynchronize(void*) { counts[WAITS]++; return 0; }
int cuEventDestroy_v2(void*) { return 0; }
int cuEventElapsedTime(float* ms, void*, void*) { *ms = 1; return 0; }

int cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    uint64_t size;
    memcpy(&size, image, 8);
    char path[] = "/tmp/lift-kernel-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || write(file, (const char*)image + 8, size) != (ssize_t)size) return 200;
    close(file);
    *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*module) fprintf(stderr, "simulator: %s\n", dlerror());
    unlink(path);
    return *module ? 0 : 200;
}
int cuModuleUnload(void* module) { return dlclose(module) ? 1 : 0; }
int cuModuleGetFunction(void** f, void* module, const char* name) {
    void* run = dlsym(module, ("simulator_run_" + std::string(name)).c_str());
    if (!run) return 500;
    *f = run;
    return 0;
}
int cuFuncSetAttribute(void* f, int attribute, int value) {
    if (attribute != 8 || value < 0 || (size_t)value > shared_limit) return 1;
    opted[f] = value;
    return 0;
}
int cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void*, void** p, void**) {
    if (!f || !gx || !bx || bx > 1024 || gy != 1 || gz != 1 || by != 1 || bz != 1) return 1;
    if (shared > 48 << 10 && (!opted.count(f) || shared > (unsigned)opted[f])) return 1;
    Opened o;
    counts[LAUNCHES]++;
    kernel = (void (*)(void**))f, arguments = p;
    launch(gx, bx, shared);
    return 0;
}
int cuGetErrorName(int error, const char** s) { *s = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 100 ? "CUDA_ERROR_NO_DEVICE" : error == 500 ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR"; return 0; }
int cuGetErrorString(int error, const char** s) { *s = error == 2 ? "out of memory" : error == 500 ? "named symbol not found" : "simulated"; return 0; }

// ---- NVRTC -------------------------------------------------------------------------------------------------------------------------
static std::string read_all(const std::string& path) {
    std::string text;
    if (FILE* f = fopen(path.c_str(), "rb")) {
        char buffer[65536];
        for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) text.append(buffer, n);
        fclose(f);
    }
    return text;
}
static void write_all(const std::string& path, const std::string& text) {
    if (FILE* f = fopen(path.c_str(), "wb")) { fwrite(text.data(), 1, text.size(), f); fclose(f); }
}

// A caller for every kernel: takes the driver's array of pointers and passes each argument with the kernel's own type.
static std::string callers(const std::string& source) {
    std::string text = "\nnamespace simulator { template <class T> struct plain { typedef T type; };\n"
        "template <unsigned... I> struct list {}; template <unsigned N, unsigned... I> struct count : count<N - 1, N - 1, I...> {}; template <unsigned... I> struct count<0, I...> { typedef list<I...> type; };\n"
        "template <class... A, unsigned... I> void call(void (*k)(A...), void** p, list<I...>) { k(*(typename plain<A>::type*)p[I]...); }\n"
        "template <class... A> void call(void (*k)(A...), void** p) { call(k, p, typename count<sizeof...(A)>::type()); } }\n";
    const std::string mark = "__global__ void ";
    for (size_t at = source.find(mark); at != std::string::npos; at = source.find(mark, at + 1)) {
        size_t from = at + mark.size(), to = source.find('(', from);
        std::string name = source.substr(from, to - from);
        if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos)
            text += "extern \"C\" void simulator_run_" + name + "(void** p) { simulator::call(" + name + ", p); }\n";
    }
    return text;
}

int nvrtcVersion(int* a, int* b) { *a = 0, *b = 2; return 0; }
int nvrtcCreateProgram(Program** p, const char* source, const char* name, int headers, const char** texts, const char** names) {
    *p = new Program{source, name};
    for (int i = 0; i < headers; i++) (*p)->headers[names[i]] = texts[i];
    return 0;
}
int nvrtcCompileProgram(Program* p, int n, const char** options) {
    std::string defines;
    bool architecture = false;
    for (int i = 0; i < n; i++) {
        std::string option = options[i];
        if (option.rfind("--define-macro=", 0) == 0) defines += " -D" + option.substr(15);
        else if (option == "--gpu-architecture=sm_90") architecture = true;
        else if (option != "--std=c++17" && option != "--fmad=true") return 5;
    }
    if (!architecture) return 5;
    char folder[] = "/tmp/lift-nvrtc-XXXXXX";
    if (!mkdtemp(folder)) return 2;
    std::string at = std::string(folder) + "/";
    for (auto& header : p->headers) write_all(at + header.first, header.second);
    write_all(at + p->name, p->source + callers(p->source));
    Dl_info self;
    dladdr((void*)nvrtcVersion, &self);
    std::string own = self.dli_fname;
    std::string include = own.substr(0, own.rfind('/'));
    std::string command = "cd " + at + " && g++ -O1 -std=c++17 -ffp-contract=off -fPIC -shared -w -DKERNEL_ON_CPU" + defines + " -I. -I'" + include + "' -x c++ '" + p->name + "' -o code.so 2>log";
    bool good = system(command.c_str()) == 0;
    p->log = read_all(at + "log");
    std::string code = read_all(at + "code.so");
    uint64_t size = code.size();
    p->code = std::string((const char*)&size, 8) + code;
    if (system(("rm -rf '" + std::string(folder) + "'").c_str())) {}
    return good ? 0 : 6;
}
int nvrtcGetProgramLogSize(Program* p, size_t* n) { *n = p->log.size() + 1; return 0; }
int nvrtcGetProgramLog(Program* p, char* s) { memcpy(s, p->log.c_str(), p->log.size() + 1); return 0; }
int nvrtcGetCUBINSize(Program* p, size_t* n) { *n = p->code.size(); return 0; }
int nvrtcGetCUBIN(Program* p, char* s) { memcpy(s, p->code.data(), p->code.size()); return 0; }
int nvrtcDestroyProgram(Program** p) { delete *p; *p = nullptr; return 0; }
}
