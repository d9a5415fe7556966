// What _compiled.py and the translation units of the kernel agree on.

#pragma once
#include <cstdint>

// To be raised here and in _compiled.py with every change of what they agree on.
constexpr int KERNEL_ABI = 1;

// What the length, the rate and the parameters determine; see `Structure` in _compiled.py.
struct Structure {
    int64_t lanes;     // segments side by side
    int64_t n;         // samples
    int64_t rows;      // of a segment
    int64_t groups;    // of `lanes` segments
    int64_t segments;  // that hold samples; those that fill the last group up do not count
    int64_t splines;   // of the problem
    int64_t slots;     // splines -1, 0, 1, ... with room for those that do not exist
    double b1, b2, settle, lead;
    const double* filtered;       // (rows, 4)        A times the polynomials
    const double* local;          // (rows, 4)        the polynomials
    const double* spread;         // (segments, 4, 6) polynomials <- four splines, constant, ramp
    const int32_t* first;         // (segments,)      slot of the first of the four splines
    const double* head;           // (2, 6)           design of rows 0 and 1, as for segment 0
    const double* filtered_head;  // (2, 6)
    const double* penalty;        // (slots,)         gamma, 1 where there is no spline
};

enum Status : int { CONVERGED, LINE, SPENT, NOT_DEFINITE, NOT_FINITE, STOPPED };

struct Report {
    double objective, gap, own_gap;
    int64_t iterations, status;
};

// The relative gap is against the objective, or against this per sample where that is more.
constexpr double OBJECTIVE_FLOOR = 1e-5;

// Steps aim at no less than this part of the gap asked for. Where z falls by many orders at once,
// p/z grows beyond what rounding leaves of T.
constexpr double LEAST = 1e-2;

// No gap is given as less.
constexpr double ROUNDING = 2.220446049250313e-16;

// One set for each translation unit of the kernel, by its number of lanes.
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
