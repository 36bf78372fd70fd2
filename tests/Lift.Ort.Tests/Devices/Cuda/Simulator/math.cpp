// The calls of cuBLAS and cuSOLVER that this project makes, with the argument order of NVIDIA's headers, as plain loops. It checks how arguments are
// used (sides, leading dimensions, orders of results), not NVIDIA's libraries. Everything is column-major.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <algorithm>
#include <numeric>
#include <vector>

extern "C" void simulator_open();
extern "C" void simulator_close();
namespace { struct Opened { Opened() { simulator_open(); } ~Opened() { simulator_close(); } }; }

enum { F32 = 0, F64 = 1, F16 = 2, BF16 = 14 };

static float half(uint16_t h) {
    int e = h >> 10 & 31, f = h & 0x3ff;
    float v = e == 31 ? (f ? NAN : INFINITY) : e ? ldexpf((float)(f | 0x400), e - 25) : ldexpf((float)f, -24);
    return h & 0x8000 ? -v : v;
}
static double get(const void* x, int type, int64_t i) {
    if (type == F64) return ((const double*)x)[i];
    if (type == F32) return ((const float*)x)[i];
    if (type == F16) return half(((const uint16_t*)x)[i]);
    uint32_t bits = (uint32_t)((const uint16_t*)x)[i] << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

// op(A) as rows of k, so that every sum runs along memory.
static std::vector<double> rows(const void* x, int type, bool along, int count, int k, int ld) {
    std::vector<double> r((size_t)count * k);
    for (int i = 0; i < count; i++)
        for (int l = 0; l < k; l++) r[(size_t)i * k + l] = get(x, type, along ? l + (int64_t)i * ld : i + (int64_t)l * ld);
    return r;
}

static int gemm(int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int typeA, int lda, const void* b, int typeB, int ldb, const void* beta, void* c, int typeC, int ldc, int compute, int algo) {
    bool wide = typeA == F64 && typeB == F64 && typeC == F64 && compute == 70;
    bool single = typeC == F32 && typeA == typeB && typeA != F64 && (compute == 68 || (compute == 77 && typeA == F32));
    if (algo != -1 || m < 0 || n < 0 || k < 0) return 7;
    if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
    if (!wide && !single) return 15;
    double s = wide ? *(const double*)alpha : *(const float*)alpha, t = wide ? *(const double*)beta : *(const float*)beta;
    std::vector<double> x = rows(a, typeA, ta, m, k, lda), y = rows(b, typeB, !tb, n, k, ldb);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            const double *p = &x[(size_t)i * k], *q = &y[(size_t)j * k];
            double sum = 0;
            for (int l = 0; l < k; l++) sum += p[l] * q[l];
            int64_t at = i + (int64_t)j * ldc;
            double value = s * sum + (t == 0 ? 0 : t * get(c, typeC, at));
            if (wide) ((double*)c)[at] = value; else ((float*)c)[at] = (float)value;
        }
    return 0;
}

// Eigenvalues ascending, vectors in the columns of a: cyclic Jacobi.
static void jacobi(int n, double* a, int lda, double* w) {
    std::vector<double> s((size_t)n * n), v((size_t)n * n);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) s[i + (size_t)j * n] = i <= j ? a[i + (size_t)j * lda] : a[j + (size_t)i * lda], v[i + (size_t)j * n] = i == j;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0, all = 0;
        for (int j = 0; j < n; j++)
            for (int i = 0; i < n; i++) (i == j ? all : off) += s[i + (size_t)j * n] * s[i + (size_t)j * n];
        if (off <= 1e-30 * all) break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double apq = s[p + (size_t)q * n], app = s[p + (size_t)p * n], aqq = s[q + (size_t)q * n];
                if (fabs(apq) <= 1e-18 * sqrt(fabs(app * aqq)) || apq == 0) continue;
                double theta = (aqq - app) / (2 * apq), t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), z = t * c;
                double *sp = &s[(size_t)p * n], *sq = &s[(size_t)q * n], *vp = &v[(size_t)p * n], *vq = &v[(size_t)q * n];
                for (int i = 0; i < n; i++) { double x = sp[i], y = sq[i]; sp[i] = c * x - z * y, sq[i] = z * x + c * y; }
                for (int i = 0; i < n; i++) { double x = s[p + (size_t)i * n], y = s[q + (size_t)i * n]; s[p + (size_t)i * n] = c * x - z * y, s[q + (size_t)i * n] = z * x + c * y; }
                for (int i = 0; i < n; i++) { double x = vp[i], y = vq[i]; vp[i] = c * x - z * y, vq[i] = z * x + c * y; }
            }
    }
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int x, int y) { return s[x + (size_t)x * n] < s[y + (size_t)y * n]; });
    for (int j = 0; j < n; j++) {
        w[j] = s[order[j] + (size_t)order[j] * n];
        memcpy(a + (size_t)j * lda, &v[(size_t)order[j] * n], n * sizeof(double));
    }
}

extern "C" {
int cublasCreate_v2(void** h) { *h = (void*)1; return 0; }
int cublasDestroy_v2(void*) { return 0; }
int cublasGetVersion_v2(void*, int* v) { *v = 130000; return 0; }
int cublasSetStream_v2(void*, void*) { return 0; }
int cublasSetWorkspace_v2(void*, void* p, size_t) { return (size_t)p % 256 ? 7 : 0; }      // NVIDIA asks for 256-byte alignment

int cublasGemmEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int typeA, int lda, const void* b, int typeB, int ldb, const void* beta, void* c, int typeC, int ldc, int compute, int algo) {
    Opened o;
    return gemm(ta, tb, m, n, k, alpha, a, typeA, lda, b, typeB, ldb, beta, c, typeC, ldc, compute, algo);
}
int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int typeA, int lda, int64_t strideA, const void* b, int typeB, int ldb, int64_t strideB, const void* beta, void* c, int typeC, int ldc, int64_t strideC, int batch, int compute, int algo) {
    Opened o;
    auto size = [](int type) { return type == F64 ? 8 : type == F32 ? 4 : 2; };
    for (int i = 0; i < batch; i++) {
        int result = gemm(ta, tb, m, n, k, alpha, (const char*)a + i * strideA * size(typeA), typeA, lda, (const char*)b + i * strideB * size(typeB), typeB, ldb, beta, (char*)c + i * strideC * size(typeC), typeC, ldc, compute, algo);
        if (result) return result;
    }
    return 0;
}
int cublasDtrsm_v2(void*, int side, int uplo, int t, int diagonal, int m, int n, const double* alpha, const double* a, int lda, double* b, int ldb) {
    Opened o;
    if (side != 1 || uplo != 1 || t != 0 || diagonal != 0) return 15;      // b := alpha * b * inv(a), a upper: all that is used
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double sum = *alpha * b[i + (size_t)j * ldb];
            for (int l = 0; l < j; l++) sum -= b[i + (size_t)l * ldb] * a[l + (size_t)j * lda];
            b[i + (size_t)j * ldb] = sum / a[j + (size_t)j * lda];
        }
    return 0;
}

int cusolverDnCreate(void** h) { *h = (void*)1; return 0; }
int cusolverDnDestroy(void*) { return 0; }
int cusolverDnSetStream(void*, void*) { return 0; }
int cusolverDnSetDeterministicMode(void*, int mode) { return mode == 1 || mode == 2 ? 0 : 3; }
int cusolverDnCreateParams(void** p) { *p = (void*)1; return 0; }
int cusolverDnDestroyParams(void*) { return 0; }
int cusolverGetProperty(int what, int* value) { *value = what == 0 ? 12 : 0; return 0; }

int cusolverDnXpotrf_bufferSize(void*, void*, int, int64_t, int, const void*, int64_t, int, size_t* d, size_t* h) { *d = 1024, *h = 16; return 0; }
int cusolverDnXpotrf(void*, void*, int uplo, int64_t n, int type, void* matrix, int64_t lda, int compute, void*, size_t, void*, size_t, int* info) {
    Opened o;
    if (type != F64 || compute != F64 || uplo != 1) return 3;
    double* a = (double*)matrix;
    *info = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i <= j; i++) {
            double sum = a[i + j * lda];
            for (int64_t l = 0; l < i; l++) sum -= a[l + i * lda] * a[l + j * lda];
            if (i == j) {
                if (!(sum > 0)) { *info = (int)(j + 1); return 0; }
                a[j + j * lda] = sqrt(sum);
            } else a[i + j * lda] = sum / a[i + i * lda];
        }
    return 0;
}
int cusolverDnXsyevBatched_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int, size_t* d, size_t* h, int64_t) { *d = 1024, *h = 0; return 0; }
int cusolverDnXsyevBatched(void*, void*, int jobz, int uplo, int64_t n, int typeA, void* a, int64_t lda, int typeW, void* w, int compute, void*, size_t, void*, size_t, int* info, int64_t batch) {
    Opened o;
    if (typeA != F64 || typeW != F64 || compute != F64 || jobz != 1 || uplo != 1) return 3;
    for (int64_t b = 0; b < batch; b++) jacobi((int)n, (double*)a + b * lda * n, (int)lda, (double*)w + b * n), info[b] = 0;
    return 0;
}
int cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int, size_t* d, size_t* h) { *d = 2048, *h = 64; return 0; }
int cusolverDnXsyevd(void* h, void* p, int jobz, int uplo, int64_t n, int typeA, void* a, int64_t lda, int typeW, void* w, int compute, void* db, size_t d, void* hb, size_t hs, int* info) {
    return cusolverDnXsyevBatched(h, p, jobz, uplo, n, typeA, a, lda, typeW, w, compute, db, d, hb, hs, info, 1);
}
int cusolverDnXgesvd_bufferSize(void*, void*, signed char, signed char, int64_t, int64_t, int, const void*, int64_t, int, const void*, int, const void*, int64_t, int, const void*, int64_t, int, size_t* d, size_t* h) { *d = 1024, *h = 8; return 0; }
// Through the eigenvectors of AᵀA, in float64.
int cusolverDnXgesvd(void*, void*, signed char ju, signed char jv, int64_t m, int64_t n, int typeA, void* a, int64_t lda, int typeS, void* s, int typeU, void* u, int64_t ldu, int typeVt, void* vt, int64_t ldvt, int compute, void*, size_t, void*, size_t, int* info) {
    Opened o;
    if (ju != 'S' || jv != 'S' || m < n || typeA != F32 || typeS != F32 || typeU != F32 || typeVt != F32 || compute != F32) return 3;
    const float* x = (const float*)a;
    std::vector<double> g(n * n), w(n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i <= j; i++) {
            double sum = 0;
            for (int64_t l = 0; l < m; l++) sum += (double)x[l + i * lda] * x[l + j * lda];
            g[i + j * n] = g[j + i * n] = sum;
        }
    jacobi((int)n, g.data(), (int)n, w.data());
    for (int64_t j = 0; j < n; j++) {
        const double* v = &g[(n - 1 - j) * n];
        double value = sqrt(std::max(0.0, w[n - 1 - j]));
        ((float*)s)[j] = (float)value;
        for (int64_t i = 0; i < n; i++) ((float*)vt)[j + i * ldvt] = (float)v[i];
        for (int64_t i = 0; i < m; i++) {
            double sum = 0;
            for (int64_t l = 0; l < n; l++) sum += x[i + l * lda] * v[l];
            ((float*)u)[i + j * ldu] = (float)(value > 0 ? sum / value : 0);
        }
    }
    memset(a, 0xff, sizeof(float) * m);      // it is destroyed, as the real one may
    *info = 0;
    return 0;
}
}
