// Interface between _compiled.py and the translation units of the kernel.

#pragma once
#include <cstdint>

// Increase it here and in _compiled.py whenever the interface changes.
constexpr int KERNEL_ABI = 2;

// Tables that depend on length, rate and parameters only; see `Structure` in _compiled.py.
struct Structure {
    int64_t lanes;     // segments processed in parallel
    int64_t n;         // number of samples
    int64_t rows;      // rows of a segment
    int64_t groups;    // groups of `lanes` segments
    int64_t segments;  // segments with samples, without those that only fill the last group
    int64_t splines;   // splines of the problem
    int64_t slots;     // splines -1, 0, 1, ..., including slots for splines that do not exist
    double b1, b2, settle, lead;
    double rho;        // of the fast exponential
    double slope;      // penalty on the square of the coefficient of the ramp; 0: none
    double fading;     // price of the initial state, over alpha; 0: the filter starts at rest
    const double* filtered;       // (rows, 4)        A times the polynomials
    const double* local;          // (rows, 4)        the polynomials
    const double* spread;         // (segments, 4, 6) polynomials <- four splines, constant, ramp
    const int32_t* first;         // (segments,)      slot of the first of the four splines
    const double* head;           // (2, 6)           design of rows 0 and 1, as for segment 0
    const double* filtered_head;  // (2, 6)
    const double* penalty;        // (slots,)         gamma, or 1 for slots without spline
};

enum Status : int { CONVERGED, LINE, SPENT, NOT_DEFINITE, NOT_FINITE, STOPPED };

struct Report {
    double objective, gap, own_gap;
    int64_t iterations, status;
};

// The relative gap is divided by the objective, or by this value per sample if that is larger.
constexpr double OBJECTIVE_FLOOR = 1e-5;

// Steps aim at no less than this share of the requested gap. If z falls by many orders of magnitude
// at once, p/z becomes so large that rounding errors dominate T.
constexpr double LEAST = 1e-2;

// Smallest gap that is reported.
constexpr double ROUNDING = 2.220446049250313e-16;

// One pair of functions for each translation unit of the kernel, named by its number of lanes.
#define DECLARE_KERNEL(LANES)                                                                     \
    int64_t workspace_##LANES(const Structure* structure);                                        \
    int solve_##LANES(const Structure* structure, void* workspace, const double* y, double alpha, \
                      double tol, int max_iter, int certify, const volatile int32_t* stop,        \
                      double* out, Report* report);
DECLARE_KERNEL(2)
DECLARE_KERNEL(4)

#define DEFINE_KERNEL(LANES)                                                                      \
    int64_t workspace_##LANES(const Structure* structure) {                                       \
        Carver carve{nullptr};                                                                    \
        Solver solver(*structure, carve);                                                         \
        return int64_t(carve.used);                                                               \
    }                                                                                             \
    int solve_##LANES(const Structure* structure, void* workspace, const double* y, double alpha, \
                      double tol, int max_iter, int certify, const volatile int32_t* stop,        \
                      double* out, Report* report) {                                              \
        Carver carve{static_cast<char*>(workspace)};                                              \
        Solver solver(*structure, carve);                                                         \
        return solver.solve(y, alpha, tol, max_iter, certify, stop, out, report);                 \
    }
