// Compiles a kernel file with NVRTC as KernelCompiler does, headers by name: nvrtc FILE.cu OUT.ptx HEADER.cuh… -OPTION…
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef void* program;
int nvrtcCreateProgram(program*, const char*, const char*, int, const char**, const char**);
int nvrtcCompileProgram(program, int, const char**);
int nvrtcGetProgramLogSize(program, size_t*);
int nvrtcGetProgramLog(program, char*);
int nvrtcGetPTXSize(program, size_t*);
int nvrtcGetPTX(program, char*);

static char* text_of(const char* path) {
    FILE* f = fopen(path, "rb");
    if (!f) { perror(path); exit(2); }
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char* text = calloc(n + 1, 1);
    if (fread(text, 1, n, f) != (size_t)n) exit(2);
    fclose(f);
    return text;
}

int main(int count, char** words) {
    const char *names[128], *texts[128], *options[32] = {"--std=c++17", "--fmad=true"};
    int headers = 0, given = 2;
    for (int i = 3; i < count; i++) {
        if (words[i][0] == '-') options[given++] = words[i];
        else names[headers] = strrchr(words[i], '/') ? strrchr(words[i], '/') + 1 : words[i], texts[headers++] = text_of(words[i]);
    }
    program p;
    size_t size;
    if (nvrtcCreateProgram(&p, text_of(words[1]), words[1], headers, texts, names)) return 2;
    int result = nvrtcCompileProgram(p, given, options);
    nvrtcGetProgramLogSize(p, &size);
    char* log = malloc(size);
    nvrtcGetProgramLog(p, log);
    if (size > 1) fprintf(stderr, "%s\n", log);
    if (result) return 1;
    nvrtcGetPTXSize(p, &size);
    char* ptx = malloc(size);
    nvrtcGetPTX(p, ptx);
    FILE* f = fopen(words[2], "wb");
    fwrite(ptx, 1, size - 1, f);
    return fclose(f) != 0;
}
