// The interior point method of _interior_point.py with segments of the recording in SIMD lanes.
//
// Notation and equation numbers are those of _problem.py and _interior_point.py:
//   (1) M'v + z = alpha    (2) AA'v + M p + G theta = A y    (3) G'v = Gamma theta    (4) p z = 0
// with A = 1 + b1 S + b2 S^2, M = (1 + S)^2, G = A X, and a Newton matrix T = AA' + M diag(p/z) M'
// with five diagonals and the border G.
//
// Rows 0 and 1 (the head) are treated separately. The other rows are split into segments of `rows`
// rows, each within one interval between knots. Within a segment, splines and drift are a single
// cubic: four Legendre polynomials, the same for every segment. Segments are eliminated in
// parallel, one per lane, except their last two rows, the separators. The rest is a chain of 2 x 2
// blocks whose border has at most six columns, four splines and the drift: each spline is
// eliminated at the end of its support. Time and memory are therefore linear in the length.
//
// If the initial state is free, the phasic component has the additional part x rho0^i with x >= 0.
// A rho0^i is (1, -rho1) in the head and 0 after it, so x is one more driver of the head.
//
// This header is compiled once per instruction set. It does not instantiate templates of the
// standard library, because the linker would merge their inline functions across instruction sets.

#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "_kernel.h"

namespace {

constexpr int L = LANES;
typedef double vd __attribute__((vector_size(8 * LANES)));

inline vd all(double x) { return x - vd{}; }
inline vd larger(vd a, vd b) { return a > b ? a : b; }
inline double larger(double a, double b) { return a > b ? a : b; }
inline double smaller(double a, double b) { return a < b ? a : b; }
inline double sum_lanes(vd a) {
    double s = 0;
    for (int l = 0; l < L; l++) s += a[l];
    return s;
}
inline double max_lanes(vd a) {
    double s = a[0];
    for (int l = 1; l < L; l++) s = larger(s, a[l]);
    return s;
}

// The sum of f(0), ..., f(n - 1) in four partial sums, which a processor can add in parallel.
template <class F>
inline double total(int64_t n, F f) {
    double a = 0, b = 0, c = 0, d = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) a += f(i), b += f(i + 1), c += f(i + 2), d += f(i + 3);
    for (; i < n; i++) a += f(i);
    return (a + b) + (c + d);
}

// The largest of 0 and f(0), ..., f(n - 1), computed in the same way.
template <class F>
inline double largest(int64_t n, F f) {
    double a = 0, b = 0, c = 0, d = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a = larger(f(i), a), b = larger(f(i + 1), b);
        c = larger(f(i + 2), c), d = larger(f(i + 3), d);
    }
    for (; i < n; i++) a = larger(f(i), a);
    return larger(larger(a, b), larger(c, d));
}

// Divides the workspace into arrays; without a workspace, it only counts the bytes.
struct Carver {
    char* start;
    size_t used = 0;
    template <class T>
    T* take(size_t count) {
        used = (used + 63) & ~size_t(63);
        T* array = start ? reinterpret_cast<T*>(start + used) : nullptr;
        used += count * sizeof(T);
        return array;
    }
};

// Contribution of a segment's interior rows to the chain of separators.
struct Segment {
    double left[3];       // subtracted from the block of the left separator (00, 01, 11)
    double left_poly[8];  // subtracted from its coupling to the polynomials, 2 x 4
    double poly[10];      // added to the Gram matrix of the polynomials, upper triangle
    double cross[4];      // coupling of the right separator to the left one, 2 x 2
    double right[3];      // block of the right separator
    double right_poly[8]; // its coupling to the polynomials, 2 x 4
    double left_rhs[2], poly_rhs[4], right_rhs[2];
};

// Elimination of the spline whose support has ended, and then of a separator.
struct Pivot {
    double inverse[3], cross[4], border[12];
    double retired_row[5], retired_border[2], retired_inverse;  // over the spline's own pivot
    double b[2], retired_rhs;
    bool retires;
};

class Solver {
    const Structure& S;
    const int64_t n, stride;
    const int H, groups, segments;
    const double b1, b2;
    const bool fades;                         // whether the initial state is free

    // One vector per row of a group of segments, with two rows of the neighbours on both sides.
    vd *p, *z, *inv_z, *v, *target, *misfit;  // misfit: residual of (2)
    vd *l1, *l2, *inv_d, *f, *x;              // factor of T, current right side, step of v
    vd *dz, *dp;                              // steps divided by z and by p
    vd *u[2], *w[4];                          // L^-1 of the couplings to the left and of G
    vd *coefficients, *onto;                  // of the polynomials, four vectors per group
    double p0[2], z0[2], inv_z0[2], v0[2], target0[2], misfit0[2], x0[2], dz0[2], dp0[2];  // head
    double px, zx, dzx, dpx;                  // initial state; px is 0 if it is not free
    const double cosine;                      // of the angle between (1, -rho1) and (1, 0)
    double along;                             // (1, -rho1)'x
    double *theta, *d_theta, *border_rhs;     // splines -1, 0, 1, ..., then constant and ramp
    Segment* segment;
    Pivot* pivot;                             // of separator k, to the left of segment k
    double* separator;                        // its two entries of x
    double *y, *dual;                         // in order of time; dual shares memory with f

    double schur[36];
    double energy, cost_of_misfit;            // |A'v|^2, v'misfit
    double furthest, second_order;

   public:
    Solver(const Structure& structure, Carver& carve)
        : S(structure), n(S.n), stride(S.rows + 4), H(int(S.rows)), groups(int(S.groups)),
          segments(int(S.segments)), b1(S.b1), b2(S.b2), fades(S.fading > 0),
          cosine(1 / std::sqrt(1 + S.rho * S.rho)) {
        const size_t count = size_t(groups) * stride;
        vd** const per_row[] = {&p,     &z,  &inv_z, &v,  &target, &misfit, &l1,   &l2,   &inv_d, &f,
                                &x,     &dz, &dp,    &u[0], &u[1], &w[0],   &w[1], &w[2], &w[3]};
        for (vd** a : per_row) *a = carve.take<vd>(count);
        coefficients = carve.take<vd>(4 * groups);
        onto = carve.take<vd>(4 * groups);
        double** const per_column[] = {&theta, &d_theta, &border_rhs};
        for (double** a : per_column) *a = carve.take<double>(S.slots + 2);
        segment = carve.take<Segment>(size_t(groups) * L);
        pivot = carve.take<Pivot>(segments + 1);
        separator = carve.take<double>(2 * (size_t(groups) * L + 1));
        y = reinterpret_cast<double*>(x);
        dual = reinterpret_cast<double*>(f);
    }

    int solve(const double* recording, double alpha, double tol, int max_iter, bool certify,
              const volatile int32_t* stop, double* out, Report* report);

   private:
    vd* row0(vd* a, int g) const { return a + g * stride + 2; }
    int64_t start(int k) const { return 2 + int64_t(k) * H; }
    int whole(int g) const {  // rows of a group that hold samples in every lane
        const int64_t left = n - start((g + 1) * L - 1);
        return int(left < 0 ? 0 : left < H ? left : H);
    }
    double& lane(vd* a, int k, int t) const {
        return reinterpret_cast<double*>(row0(a, k / L) + t)[k % L];
    }
    vd remaining(int g) const {  // rows of each lane that hold samples, if positive
        vd rows;
        for (int l = 0; l < L; l++) rows[l] = double(n - start(g * L + l));
        return rows;
    }
    // 1 in rows that hold samples, 0 in rows that only fill the lanes.
    static vd inside(vd rows, int t) { return rows > all(t) ? all(1) : all(0); }
    // Turn a vector of the head so that its first coordinate is along (1, -rho1). The weight of the
    // initial state can be as large as 1e15. It is then in one coordinate only and cannot cancel.
    void turn(double& first, double& second) const {
        const double before = first;
        first = cosine * (before - S.rho * second), second = cosine * (S.rho * before + second);
    }
    void share(vd* a, const double* head, bool both_sides) const;
    void spread(const double* th, vd* out) const;
    void forward(int g);
    void forward_again(int g, double centre);
    template <bool CORRECTOR> void backward(double centre);
    template <bool CORRECTOR> void steps(vd* P, vd* Z, vd* IZ, vd* X, vd* DZ, vd* DP, int t,
                                         double centre, vd& most, vd& second) const;
    bool factor_chain();
    void solve_chain(double b_0, double b_1);
    void write(const double* recording, double mean, double slope, double scale, double* out);
    double misfit_energy() const;
    double bound(double alpha);
};

// Copy the neighbours' rows into the margins of each segment; the head is to the left of them all.
inline void Solver::share(vd* a, const double* head, bool both_sides) const {
    for (int g = 0; g < groups; g++) {
        vd* A = row0(a, g);
        for (int r = 0; r < 2; r++) {
            vd last = A[H - 2 + r], margin;
            for (int l = L - 1; l > 0; l--) margin[l] = last[l - 1];
            margin[0] = g ? row0(a, g - 1)[H - 2 + r][L - 1] : head[r];
            A[r - 2] = margin;
        }
        if (!both_sides) continue;
        for (int r = 0; r < 2; r++) {
            vd first = A[r], margin;
            for (int l = 0; l < L - 1; l++) margin[l] = first[l + 1];
            margin[L - 1] = g + 1 < groups ? row0(a, g + 1)[r][0] : 0.0;
            A[H + r] = margin;
        }
    }
}

// Compute the coefficients of each segment's polynomials from splines and drift.
inline void Solver::spread(const double* th, vd* out) const {
    const double d_0 = th[S.slots], d_1 = th[S.slots + 1];
    for (int k = 0; k < segments; k++) {
        const double *E = S.spread + 24 * k, *l = th + S.first[k];
        for (int r = 0; r < 4; r++, E += 6)
            reinterpret_cast<double*>(out + k / L * 4 + r)[k % L] =
                E[0] * l[0] + E[1] * l[1] + E[2] * l[2] + E[3] * l[3] + E[4] * d_0 + E[5] * d_1;
    }
}

// Compute the residuals of (2) and (3), the factor of T within the segments, and the right side of
// the predictor.
inline void Solver::forward(int g) {
    const int full = whole(g);
    const vd rows = remaining(g);
    vd *P = row0(p, g), *IZ = row0(inv_z, g), *V = row0(v, g), *Y = row0(target, g);
    vd *MF = row0(misfit, g), *L1 = row0(l1, g), *L2 = row0(l2, g), *ID = row0(inv_d, g);
    vd *F = row0(f, g), *U0 = row0(u[0], g), *U1 = row0(u[1], g);
    vd *W0 = row0(w[0], g), *W1 = row0(w[1], g), *W2 = row0(w[2], g), *W3 = row0(w[3], g);
    const vd th0 = coefficients[4 * g], th1 = coefficients[4 * g + 1];
    const vd th2 = coefficients[4 * g + 2], th3 = coefficients[4 * g + 3];
    const double k0 = 1 + b1 * b1 + b2 * b2, k1 = b1 * (1 + b2);
    const vd zero = all(0);

    vd e2 = V[-2] + b1 * V[-1] + b2 * V[0], e1 = V[-1] + b1 * V[0] + b2 * V[1];
    vd p2 = P[-2], p1 = P[-1], pz2 = p2 * IZ[-2], pz1 = p1 * IZ[-1];
    vd e_e = zero, v_m = zero, g0 = zero, g1 = zero, g2 = zero, g3 = zero;
    vd l1_1 = zero, id1 = zero, id2 = zero;  // of the previous rows, like the variables below
    vd f1 = zero, f2 = zero, ua1 = zero, ua2 = zero, ub1 = zero, ub2 = zero;
    vd wa1 = zero, wa2 = zero, wb1 = zero, wb2 = zero, wc1 = zero, wc2 = zero, wd1 = zero,
       wd2 = zero;
    vd uu[3] = {}, uw[8] = {}, uf[2] = {}, ww[10] = {}, wf[4] = {};  // Gram matrix over D

    constexpr int CHUNK = 16;  // rows that stay in the first-level cache for the Gram matrix
    for (int begin = 0; begin < H; begin += CHUNK) {
        const int end = begin + CHUNK < H ? begin + CHUNK : H;
        for (int t = begin; t < end; t++) {
            const vd v_t = V[t], e = v_t + b1 * V[t + 1] + b2 * V[t + 2], p_t = P[t];
            const double* G = S.filtered + 4 * t;
            vd b = Y[t] - (e + b1 * e1 + b2 * e2) -
                   (G[0] * th0 + G[1] * th1 + G[2] * th2 + G[3] * th3);
            vd average = p_t + 2 * p1 + p2;
            const vd pz = p_t * IZ[t];
            vd T0 = k0 + pz + 4 * pz1 + pz2, T1 = k1 + 2 * (pz1 + pz2), T2 = b2 + pz2;
            vd q0 = all(G[0]), q1 = all(G[1]), q2 = all(G[2]), q3 = all(G[3]);
            if (__builtin_expect(t >= full, 0)) {  // a row of the identity
                const vd in = inside(rows, t);
                b *= in, average *= in, T0 = in * T0 + (1 - in), T1 *= in, T2 *= in;
                q0 *= in, q1 *= in, q2 *= in, q3 *= in;
            }
            const vd m = b - average;
            MF[t] = m;
            e_e += e * e, v_m += v_t * m;
            g0 += q0 * v_t, g1 += q1 * v_t, g2 += q2 * v_t, g3 += q3 * v_t;

            vd m1, m2 = T2 * id2, d, ua, ub;  // row of L, pivot, couplings to the left separator
            if (__builtin_expect(t >= 2 && t < H - 1, 1)) {
                const vd c = T1 - T2 * l1_1;
                m1 = c * id1, d = T0 - m1 * c - m2 * T2;
                ua = -m1 * ua1 - m2 * ua2, ub = -m1 * ub1 - m2 * ub2;
            } else if (t == 0) {
                m1 = zero, d = T0, ua = T2, ub = T1;
            } else if (t == 1) {
                m1 = T1 * id1, d = T0 - m1 * T1, ua = -m1 * ua1, ub = T2 - m1 * ub1;
            } else {  // the second separator is not eliminated by the first: skip that row
                L1[t] = T1 - T2 * l1_1, L2[t] = m2, ID[t] = T0 - m2 * T2;
                F[t] = b - m2 * f2, U0[t] = -m2 * ua2, U1[t] = -m2 * ub2;
                W0[t] = q0 - m2 * wa2, W1[t] = q1 - m2 * wb2;
                W2[t] = q2 - m2 * wc2, W3[t] = q3 - m2 * wd2;
                break;
            }
            const vd id = 1.0 / d, f_t = b - m1 * f1 - m2 * f2;
            const vd wa = q0 - m1 * wa1 - m2 * wa2, wb = q1 - m1 * wb1 - m2 * wb2;
            const vd wc = q2 - m1 * wc1 - m2 * wc2, wd = q3 - m1 * wd1 - m2 * wd2;
            L1[t] = m1, L2[t] = m2, F[t] = f_t, U0[t] = ua, U1[t] = ub;
            W0[t] = wa, W1[t] = wb, W2[t] = wc, W3[t] = wd;
            ID[t] = t == H - 2 ? d : id;
            e2 = e1, e1 = e, p2 = p1, p1 = p_t, pz2 = pz1, pz1 = pz, l1_1 = m1, id2 = id1, id1 = id;
            f2 = f1, f1 = f_t, ua2 = ua1, ua1 = ua, ub2 = ub1, ub1 = ub;
            wa2 = wa1, wa1 = wa, wb2 = wb1, wb1 = wb, wc2 = wc1, wc1 = wc, wd2 = wd1, wd1 = wd;
        }
        // Two loops, so that the sums of each loop fit in the registers.
        const int interior = end < H - 2 ? end : H - 2;
        for (int t = begin; t < interior; t++) {
            const vd id = ID[t], a = U0[t] * id, b = U1[t] * id;
            uu[0] += a * U0[t], uu[1] += a * U1[t], uu[2] += b * U1[t];
            uw[0] += a * W0[t], uw[1] += a * W1[t], uw[2] += a * W2[t], uw[3] += a * W3[t];
            uw[4] += b * W0[t], uw[5] += b * W1[t], uw[6] += b * W2[t], uw[7] += b * W3[t];
            uf[0] += a * F[t], uf[1] += b * F[t];
        }
        for (int t = begin; t < interior; t++) {
            const vd id = ID[t], a = W0[t] * id, b = W1[t] * id, c = W2[t] * id, d = W3[t] * id;
            ww[0] += a * W0[t], ww[1] += a * W1[t], ww[2] += a * W2[t], ww[3] += a * W3[t];
            ww[4] += b * W1[t], ww[5] += b * W2[t], ww[6] += b * W3[t];
            ww[7] += c * W2[t], ww[8] += c * W3[t], ww[9] += d * W3[t];
            wf[0] += a * F[t], wf[1] += b * F[t], wf[2] += c * F[t], wf[3] += d * F[t];
        }
    }

    energy += sum_lanes(e_e), cost_of_misfit += sum_lanes(v_m);
    onto[4 * g] = g0, onto[4 * g + 1] = g1, onto[4 * g + 2] = g2, onto[4 * g + 3] = g3;
    for (int l = 0; l < L; l++) {
        Segment& s = segment[g * L + l];
        for (int i = 0; i < 3; i++) s.left[i] = uu[i][l];
        for (int i = 0; i < 8; i++) s.left_poly[i] = uw[i][l];
        for (int i = 0; i < 10; i++) s.poly[i] = ww[i][l];
        for (int i = 0; i < 4; i++) s.poly_rhs[i] = wf[i][l];
        for (int r = 0; r < 2; r++) {
            const int t = H - 2 + r;
            s.left_rhs[r] = uf[r][l], s.right_rhs[r] = F[t][l];
            s.cross[2 * r] = U0[t][l], s.cross[2 * r + 1] = U1[t][l];
            s.right_poly[4 * r] = W0[t][l], s.right_poly[4 * r + 1] = W1[t][l];
            s.right_poly[4 * r + 2] = W2[t][l], s.right_poly[4 * r + 3] = W3[t][l];
        }
        s.right[0] = ID[H - 2][l], s.right[1] = L1[H - 1][l], s.right[2] = ID[H - 1][l];
    }
}

// Solve with the factor for the right side of the corrector,
// misfit + M (p (1 - dz - dz^2) - centre / z).
inline void Solver::forward_again(int g, double centre) {
    const int full = whole(g);
    const vd rows = remaining(g);
    vd *P = row0(p, g), *IZ = row0(inv_z, g), *DZ = row0(dz, g), *MF = row0(misfit, g);
    vd *L1 = row0(l1, g), *L2 = row0(l2, g), *ID = row0(inv_d, g), *F = row0(f, g);
    vd *U0 = row0(u[0], g), *U1 = row0(u[1], g);
    vd *W0 = row0(w[0], g), *W1 = row0(w[1], g), *W2 = row0(w[2], g), *W3 = row0(w[3], g);
    vd f1 = all(0), f2 = f1, a0 = f1, a1 = f1, c0 = f1, c1 = f1, c2 = f1, c3 = f1;
    auto aim = [&](int t) { return P[t] * (1 - DZ[t] * (1 + DZ[t])) - centre * IZ[t]; };
    vd q2 = aim(-2), q1 = aim(-1);
    for (int t = 0; t < H; t++) {
        const vd q = aim(t);
        vd b = MF[t] + q + 2 * q1 + q2;
        if (__builtin_expect(t >= full, 0)) b *= inside(rows, t);
        // As in `forward`, the first separator does not eliminate the second.
        const vd f_t = t < H - 1 ? b - L1[t] * f1 - L2[t] * f2 : b - L2[t] * f2;
        F[t] = f_t;
        if (t < H - 2) {
            const vd fd = f_t * ID[t];
            a0 += U0[t] * fd, a1 += U1[t] * fd;
            c0 += W0[t] * fd, c1 += W1[t] * fd, c2 += W2[t] * fd, c3 += W3[t] * fd;
        }
        f2 = f1, f1 = f_t, q2 = q1, q1 = q;
    }
    for (int l = 0; l < L; l++) {
        Segment& s = segment[g * L + l];
        s.left_rhs[0] = a0[l], s.left_rhs[1] = a1[l];
        s.poly_rhs[0] = c0[l], s.poly_rhs[1] = c1[l], s.poly_rhs[2] = c2[l], s.poly_rhs[3] = c3[l];
        s.right_rhs[0] = F[H - 2][l], s.right_rhs[1] = F[H - 1][l];
    }
}

// Factor the chain of separators. The front holds one separator x, four splines and the drift:
//   D x + B th = b,   schur th = g + B'x.
inline bool Solver::factor_chain() {
    const double pz0 = p0[0] * inv_z0[0], pz1 = p0[1] * inv_z0[1];
    double D[3] = {1 + pz0, b1 + 2 * pz0, 1 + b1 * b1 + pz1 + 4 * pz0};
    double B[2][6];
    for (int j = 0; j < 6; j++) B[0][j] = S.filtered_head[j], B[1][j] = S.filtered_head[6 + j];
    double(*C)[6] = reinterpret_cast<double(*)[6]>(schur);
    for (int i = 0; i < 36; i++) schur[i] = 0;
    for (int j = 0; j < 4; j++) C[j][j] = S.penalty[j];
    C[5][5] = S.slope;

    for (int k = 0; k <= segments; k++) {
        Pivot& at = pivot[k];
        at.retires = k > 0 && k < segments && S.first[k] != S.first[k - 1];
        if (at.retires) {  // the oldest spline leaves the front, a new one enters
            if (!(C[0][0] > 0)) return false;
            const double inverse = at.retired_inverse = 1 / C[0][0];
            const double c[2] = {B[0][0], B[1][0]};
            double row[6], s[6];
            for (int j = 1; j < 6; j++) row[j] = C[0][j], s[j] = C[0][j] * inverse;
            for (int j = 1; j < 6; j++) at.retired_row[j - 1] = s[j];
            for (int r = 0; r < 2; r++) at.retired_border[r] = c[r] * inverse;
            D[0] += c[0] * c[0] * inverse, D[1] += c[0] * c[1] * inverse;
            D[2] += c[1] * c[1] * inverse;
            for (int j = 1; j < 6; j++) {
                const int to = j < 4 ? j - 1 : j;
                B[0][to] = B[0][j] - c[0] * s[j], B[1][to] = B[1][j] - c[1] * s[j];
                for (int i = 1; i < 6; i++) C[i < 4 ? i - 1 : i][to] = C[i][j] - row[i] * s[j];
            }
            B[0][3] = B[1][3] = 0;
            for (int j = 0; j < 6; j++) C[3][j] = C[j][3] = 0;
            C[3][3] = S.penalty[S.first[k] + 3];
        }
        double next[2][6] = {};
        if (k < segments) {
            const Segment& s = segment[k];
            const double* E = S.spread + 24 * k;
            static constexpr int at4[4][4] = {{0, 1, 2, 3}, {1, 4, 5, 6}, {2, 5, 7, 8}, {3, 6, 8, 9}};
            for (int i = 0; i < 3; i++) D[i] -= s.left[i];
            for (int r = 0; r < 4; r++) {
                double GE[6];  // a row of the Gram matrix times E
                for (int j = 0; j < 6; j++) {
                    GE[j] = s.poly[at4[r][0]] * E[j] + s.poly[at4[r][1]] * E[6 + j] +
                            s.poly[at4[r][2]] * E[12 + j] + s.poly[at4[r][3]] * E[18 + j];
                    B[0][j] -= s.left_poly[r] * E[6 * r + j];
                    B[1][j] -= s.left_poly[4 + r] * E[6 * r + j];
                    next[0][j] += s.right_poly[r] * E[6 * r + j];
                    next[1][j] += s.right_poly[4 + r] * E[6 * r + j];
                }
                for (int i = 0; i < 6; i++)
                    for (int j = 0; j < 6; j++) C[i][j] += E[6 * r + i] * GE[j];
            }
        }
        if (fades && k == 0) {
            double row[2] = {D[0], D[1]}, other[2] = {D[1], D[2]};
            turn(row[0], row[1]), turn(other[0], other[1]);  // the columns of Q'D
            turn(row[0], other[0]), turn(row[1], other[1]);
            D[0] = row[0] + px / zx / (cosine * cosine), D[1] = other[0], D[2] = other[1];
            for (int j = 0; j < 6; j++) turn(B[0][j], B[1][j]);
            double* O = segment[0].cross;
            turn(O[0], O[1]), turn(O[2], O[3]);
        }
        const double det = D[0] * D[2] - D[1] * D[1];
        if (!(det > 0) || !(D[0] > 0)) return false;
        const double i0 = D[2] / det, i1 = -D[1] / det, i2 = D[0] / det;
        at.inverse[0] = i0, at.inverse[1] = i1, at.inverse[2] = i2;
        double K[2][6];  // D^-1 B
        for (int j = 0; j < 6; j++) {
            at.border[j] = B[0][j], at.border[6 + j] = B[1][j];
            K[0][j] = i0 * B[0][j] + i1 * B[1][j], K[1][j] = i1 * B[0][j] + i2 * B[1][j];
        }
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++) C[i][j] += B[0][i] * K[0][j] + B[1][i] * K[1][j];
        if (k == segments) break;
        const double *O = segment[k].cross, *R = segment[k].right;
        for (int j = 0; j < 4; j++) at.cross[j] = O[j];
        for (int j = 0; j < 6; j++) {
            B[0][j] = next[0][j] - O[0] * K[0][j] - O[1] * K[1][j];
            B[1][j] = next[1][j] - O[2] * K[0][j] - O[3] * K[1][j];
        }
        const double o00 = i0 * O[0] + i1 * O[1], o01 = i1 * O[0] + i2 * O[1];
        const double o10 = i0 * O[2] + i1 * O[3], o11 = i1 * O[2] + i2 * O[3];
        D[0] = R[0] - O[0] * o00 - O[1] * o01, D[1] = R[1] - O[2] * o00 - O[3] * o01;
        D[2] = R[2] - O[2] * o10 - O[3] * o11;
    }
    for (int j = 0; j < 6; j++) {  // Cholesky factor of the remaining block
        for (int i = 0; i < j; i++) C[j][j] -= C[j][i] * C[j][i];
        if (!(C[j][j] > 0)) return false;
        C[j][j] = std::sqrt(C[j][j]);
        for (int k = j + 1; k < 6; k++) {
            for (int i = 0; i < j; i++) C[k][j] -= C[k][i] * C[j][i];
            C[k][j] /= C[j][j];
        }
    }
    return true;
}

// Solve the chain for the separators and theta; b_0, b_1 are the right sides of the head.
inline void Solver::solve_chain(double b_0, double b_1) {
    double g[6];
    for (int j = 0; j < 4; j++) g[j] = border_rhs[j];
    g[4] = border_rhs[S.slots], g[5] = border_rhs[S.slots + 1];
    for (int k = 0; k <= segments; k++) {
        Pivot& at = pivot[k];
        if (at.retires) {
            const double g_0 = at.retired_rhs = g[0];
            b_0 -= at.retired_border[0] * g_0, b_1 -= at.retired_border[1] * g_0;
            for (int j = 1; j < 6; j++) g[j < 4 ? j - 1 : j] = g[j] - at.retired_row[j - 1] * g_0;
            g[3] = border_rhs[S.first[k] + 3];
        }
        if (k < segments) {
            const Segment& s = segment[k];
            const double* E = S.spread + 24 * k;
            b_0 -= s.left_rhs[0], b_1 -= s.left_rhs[1];
            for (int j = 0; j < 6; j++)
                g[j] += (s.poly_rhs[0] * E[j] + s.poly_rhs[1] * E[6 + j]) +
                        (s.poly_rhs[2] * E[12 + j] + s.poly_rhs[3] * E[18 + j]);
        }
        if (fades && k == 0) turn(b_0, b_1);
        at.b[0] = b_0, at.b[1] = b_1;
        const double x_0 = at.inverse[0] * b_0 + at.inverse[1] * b_1;
        const double x_1 = at.inverse[1] * b_0 + at.inverse[2] * b_1;
        for (int j = 0; j < 6; j++) g[j] += at.border[j] * x_0 + at.border[6 + j] * x_1;
        if (k == segments) break;
        b_0 = segment[k].right_rhs[0] - at.cross[0] * x_0 - at.cross[1] * x_1;
        b_1 = segment[k].right_rhs[1] - at.cross[2] * x_0 - at.cross[3] * x_1;
    }
    const double(*C)[6] = reinterpret_cast<const double(*)[6]>(schur);
    for (int j = 0; j < 6; j++) {
        for (int i = 0; i < j; i++) g[j] -= C[j][i] * g[i];
        g[j] /= C[j][j];
    }
    for (int j = 5; j >= 0; j--) {
        for (int i = j + 1; i < 6; i++) g[j] -= C[i][j] * g[i];
        g[j] /= C[j][j];
    }
    d_theta[S.slots] = g[4], d_theta[S.slots + 1] = g[5];
    for (int j = 0; j < 4; j++) d_theta[S.first[segments - 1] + j] = g[j];
    double x_0 = 0, x_1 = 0;
    for (int k = segments; k >= 0; k--) {
        const Pivot& at = pivot[k];
        double r_0 = at.b[0], r_1 = at.b[1];
        if (k < segments) {
            r_0 -= at.cross[0] * x_0 + at.cross[2] * x_1;
            r_1 -= at.cross[1] * x_0 + at.cross[3] * x_1;
        }
        for (int j = 0; j < 6; j++) r_0 -= at.border[j] * g[j], r_1 -= at.border[6 + j] * g[j];
        x_0 = at.inverse[0] * r_0 + at.inverse[1] * r_1;
        x_1 = at.inverse[1] * r_0 + at.inverse[2] * r_1;
        separator[2 * k] = x_0, separator[2 * k + 1] = x_1;
        if (fades && k == 0) {
            along = x_0 / cosine;
            separator[0] = cosine * (x_0 + S.rho * x_1), separator[1] = cosine * (x_1 - S.rho * x_0);
        }
        if (at.retires) {
            double back = at.retired_rhs * at.retired_inverse + at.retired_border[0] * x_0 +
                          at.retired_border[1] * x_1;
            for (int j = 1; j < 6; j++) back -= at.retired_row[j - 1] * g[j < 4 ? j - 1 : j];
            g[3] = g[2], g[2] = g[1], g[1] = g[0], g[0] = back;
            d_theta[S.first[k - 1]] = back;
        }
    }
}

// Compute the steps of z and p, divided by z and p, from the step of v: dz = -M'dv.
template <bool CORRECTOR>
inline void Solver::steps(vd* P, vd* Z, vd* IZ, vd* X, vd* DZ, vd* DP, int t, double centre,
                          vd& most, vd& second) const {
    const vd step = -(X[t] + 2 * X[t + 1] + X[t + 2]) * IZ[t];
    if (CORRECTOR) {
        const vd ahead = DZ[t];
        const vd of_p = ahead * (1 + ahead) - 1 + centre / (P[t] * Z[t]) - step;
        DP[t] = of_p;
        most = larger(most, larger(-step, -of_p));
    } else {
        most = larger(most, larger(-step, 1 + step));
        second += P[t] * Z[t] * step * (1 + step);
    }
    DZ[t] = step;
}

// Compute the step of v within the segments from those of separators and theta; then the steps of
// p and z.
template <bool CORRECTOR>
void Solver::backward(double centre) {
    spread(d_theta, coefficients);
    vd most = all(0), second = all(0);
    for (int g = 0; g < groups; g++) {
        vd *P = row0(p, g), *Z = row0(z, g), *IZ = row0(inv_z, g), *X = row0(x, g);
        vd *DZ = row0(dz, g), *DP = row0(dp, g), *F = row0(f, g);
        vd *L1 = row0(l1, g), *L2 = row0(l2, g), *ID = row0(inv_d, g);
        vd *U0 = row0(u[0], g), *U1 = row0(u[1], g);
        vd *W0 = row0(w[0], g), *W1 = row0(w[1], g), *W2 = row0(w[2], g), *W3 = row0(w[3], g);
        const vd *d = coefficients + 4 * g, d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
        vd left0, left1, x1, x2;
        for (int l = 0; l < L; l++) {
            const double* at = separator + 2 * (g * L + l);
            left0[l] = at[0], left1[l] = at[1], x1[l] = at[2], x2[l] = at[3];
        }
        X[H - 2] = x1, X[H - 1] = x2;
        for (int t = H - 3; t >= 0; t--) {
            const vd r = F[t] - U0[t] * left0 - U1[t] * left1 - W0[t] * d0 - W1[t] * d1 -
                         W2[t] * d2 - W3[t] * d3;
            const vd x_t = r * ID[t] - L1[t + 1] * x1 - L2[t + 2] * x2;
            X[t] = x_t, x2 = x1, x1 = x_t;
            steps<CORRECTOR>(P, Z, IZ, X, DZ, DP, t, centre, most, second);
        }
    }
    share(x, separator, true);
    for (int g = 0; g < groups; g++)
        for (int t = H - 2; t < H; t++)
            steps<CORRECTOR>(row0(p, g), row0(z, g), row0(inv_z, g), row0(x, g), row0(dz, g),
                             row0(dp, g), t, centre, most, second);
    furthest = max_lanes(most), second_order = sum_lanes(second);
    const double X[4] = {separator[0], separator[1], row0(x, 0)[0][0], row0(x, 0)[1][0]};
    for (int r = 0; r < 2; r++) {
        const double step = -(X[r] + 2 * X[r + 1] + X[r + 2]) * inv_z0[r];
        if (CORRECTOR) {
            dp0[r] = dz0[r] * (1 + dz0[r]) - 1 + centre / (p0[r] * z0[r]) - step;
            furthest = larger(furthest, larger(-step, -dp0[r]));
        } else {
            furthest = larger(furthest, larger(-step, 1 + step));
            second_order += p0[r] * z0[r] * step * (1 + step);
        }
        dz0[r] = step, x0[r] = X[r];
    }
    if (fades) {
        const double step = -along / zx;
        if (CORRECTOR) {
            dpx = dzx * (1 + dzx) - 1 + centre / (px * zx) - step;
            furthest = larger(furthest, larger(-step, -dpx));
        } else {
            furthest = larger(furthest, larger(-step, 1 + step));
            second_order += px * zx * step * (1 + step);
        }
        dzx = step;
    }
}

inline int Solver::solve(const double* recording, double alpha, double tol, int max_iter,
                         bool certify, const volatile int32_t* stop, double* out, Report* report) {
    // Subtract the least-squares line, which has no cost in the problem. Scale the rest to unit
    // variance. Divide by the peak first, because squares of extreme values would overflow.
    const double middle = 0.5 * (n + 1), spin = n * (double(n) * n - 1) / 12;
    const double part = 1.0 / n;
    const double mean = total(n, [&](int64_t i) { return recording[i] * part; });
    double slope =
        total(n, [&](int64_t i) { return (i + 1 - middle) * (recording[i] - mean); }) / spin;
    auto around_line = [&](int64_t i) { return recording[i] - (mean + slope * (i + 1 - middle)); };
    auto distance = [&](int64_t i) { return std::fabs(around_line(i)); };
    double peak = largest(n, distance);
    const double size = largest(n, [&](int64_t i) { return std::fabs(recording[i]); });
    if (!(peak > larger(1e-11 * size, 1e-290))) return LINE;  // as in _decompose.py
    if (S.slope > 0) slope = 0, peak = largest(n, distance);  // then the line has a cost
    const double over_peak = 1 / peak;
    auto square = [&](int64_t i) { return around_line(i) * over_peak * around_line(i) * over_peak; };
    const double scale = peak * std::sqrt(total(n, square) / n), over_scale = 1 / scale;
    alpha *= S.lead / scale;

    // This point and every step from it satisfy (1) and (3). Rows that only fill the lanes do not
    // change after this: p/z is 0, and z absorbs no step.
    // If alpha is large, p starts so small that the penalty alone does not exceed |y|^2 / 2.
    const double p_start = smaller(30 * S.settle / 4, 0.5 / alpha);
    for (int64_t i = 0; i < n; i++) y[i] = around_line(i) * over_scale;
    for (int g = 0; g < groups; g++) {
        const vd rows = remaining(g);
        for (int t = 0; t < H; t++) {
            const vd in = inside(rows, t), out = 1 - in;
            row0(p, g)[t] = in * p_start + out * 1e-280;
            row0(z, g)[t] = in * alpha + out * 1e250;
            row0(inv_z, g)[t] = in * (1 / alpha) + out * 1e-250;
            row0(v, g)[t] = row0(target, g)[t] = all(0);
        }
    }
    for (int k = 0; k < segments; k++) {
        const int64_t i = start(k);
        for (int t = 0; t < H && i + t < n; t++)
            lane(target, k, t) = y[i + t] + b1 * y[i + t - 1] + b2 * y[i + t - 2];
    }
    target0[0] = y[0], target0[1] = y[1] + b1 * y[0];
    for (int r = 0; r < 2; r++) p0[r] = p_start, z0[r] = alpha, inv_z0[r] = 1 / alpha, v0[r] = 0;
    zx = S.fading * alpha / S.lead, px = fades ? smaller(1, 0.5 / zx) : 0, dzx = dpx = 0;
    for (int64_t j = 0; j < S.slots + 2; j++) theta[j] = d_theta[j] = 0;
    for (int k = 0; k < 2 * (groups * L + 1); k++) separator[k] = 0;
    for (int g = 0; g < 4 * groups; g++) coefficients[g] = all(0);
    share(p, p0, true), share(inv_z, inv_z0, true), share(v, v0, true);

    double gap = p_start * alpha * n, driver = p_start * n, objective;
    const double price = zx;
    gap += px * zx;
    int status, iteration = 0;
    for (;; iteration++) {
        spread(theta, coefficients);
        energy = cost_of_misfit = 0;
        for (int g = 0; g < groups; g++) forward(g);
        const double V2 = row0(v, 0)[0][0], V3 = row0(v, 0)[1][0];
        const double e0 = v0[0] + b1 * v0[1] + b2 * V2, e1 = v0[1] + b1 * V2 + b2 * V3;
        double b_0 = target0[0] - e0, b_1 = target0[1] - (e1 + b1 * e0);
        for (int j = 0; j < 6; j++) {
            const double th = theta[j < 4 ? j : S.slots + j - 4];
            b_0 -= S.filtered_head[j] * th, b_1 -= S.filtered_head[6 + j] * th;
        }
        misfit0[0] = b_0 - p0[0], misfit0[1] = b_1 - (p0[1] + 2 * p0[0]);
        if (fades) misfit0[0] -= px, misfit0[1] += S.rho * px;
        energy += e0 * e0 + e1 * e1;
        cost_of_misfit += v0[0] * misfit0[0] + v0[1] * misfit0[1];
        objective = 0.5 * energy + alpha * driver;
        for (int64_t j = 0; j < S.slots; j++) objective += 0.5 * S.penalty[j] * theta[j] * theta[j];
        const double rise = theta[S.slots + 1];
        if (fades) objective += price * px;
        if (S.slope > 0) objective += 0.5 * S.slope * rise * rise;

        // With d = A^-1 misfit the residual is A'v + d, and the objective exceeds that of v by
        // v'misfit + |d|^2 / 2. Both terms are part of the gap.
        const double floor = larger(objective, OBJECTIVE_FLOOR * n);
        if (!(gap <= 1e300 && objective <= 1e300)) { status = NOT_FINITE; break; }
        report->own_gap = (gap + std::fabs(cost_of_misfit)) / floor;
        if (report->own_gap <= tol) report->own_gap += 0.5 * misfit_energy() / floor;
        if (report->own_gap <= tol) { status = CONVERGED; break; }
        if (iteration == max_iter) { status = SPENT; break; }
        if (*stop) { status = STOPPED; break; }

        // (3): border_rhs = G'v - Gamma theta.
        for (int64_t j = 0; j < S.slots; j++) border_rhs[j] = -S.penalty[j] * theta[j];
        border_rhs[S.slots] = border_rhs[S.slots + 1] = 0;
        if (S.slope > 0) border_rhs[S.slots + 1] = -S.slope * rise;
        for (int j = 0; j < 6; j++)
            border_rhs[j < 4 ? j : S.slots + j - 4] +=
                S.filtered_head[j] * v0[0] + S.filtered_head[6 + j] * v0[1];
        for (int k = 0; k < segments; k++)
            for (int r = 0; r < 4; r++) {
                const double *E = S.spread + 24 * k + 6 * r, o = onto[k / L * 4 + r][k % L];
                for (int j = 0; j < 4; j++) border_rhs[S.first[k] + j] += E[j] * o;
                border_rhs[S.slots] += E[4] * o, border_rhs[S.slots + 1] += E[5] * o;
            }
        if (!factor_chain()) { status = NOT_DEFINITE; break; }

        // Predictor: aims at complementarity 0.
        solve_chain(b_0, b_1);
        backward<false>(0);
        const double mu = gap / n, ahead = 1 / larger(1, furthest);
        const double left = ((1 - ahead) * gap - ahead * ahead * second_order) / gap;
        const double centre = larger(left * left * left * mu, smaller(mu, LEAST * tol * floor / n));

        // Corrector: aims at `centre` and includes the predictor's second order.
        share(dz, dz0, false);
        for (int g = 0; g < groups; g++) forward_again(g, centre);
        const double q0 = p0[0] * (1 - dz0[0] * (1 + dz0[0])) - centre * inv_z0[0];
        const double q1 = p0[1] * (1 - dz0[1] * (1 + dz0[1])) - centre * inv_z0[1];
        const double qx = fades ? px * (1 - dzx * (1 + dzx)) - centre / zx : 0;
        solve_chain(misfit0[0] + q0 + qx, misfit0[1] + q1 + 2 * q0 - S.rho * qx);
        backward<true>(centre);

        // Multiplication keeps p and z positive, and keeps the full precision of small entries.
        const double fraction = smaller(larger(0.99, 1 - mu), 0.999);
        const double length = furthest <= fraction ? 1.0 : fraction / furthest;
        if (!(length > 1e-6)) { status = NOT_FINITE; break; }
        vd gaps = all(0), drivers = all(0);
        for (int g = 0; g < groups; g++) {
            vd *P = row0(p, g), *Z = row0(z, g), *IZ = row0(inv_z, g), *V = row0(v, g);
            vd *DP = row0(dp, g), *DZ = row0(dz, g), *X = row0(x, g);
            const int full = whole(g);
            const vd rows = remaining(g);
            for (int t = 0; t < H; t++) {
                const vd p_t = P[t] * (1 + length * DP[t]), z_t = Z[t] * (1 + length * DZ[t]);
                P[t] = p_t, Z[t] = z_t, IZ[t] = 1.0 / z_t, V[t] += length * X[t];
                const vd counted = __builtin_expect(t >= full, 0) ? inside(rows, t) * p_t : p_t;
                gaps += counted * z_t, drivers += counted;
            }
        }
        gap = sum_lanes(gaps), driver = sum_lanes(drivers);
        for (int r = 0; r < 2; r++) {
            p0[r] *= 1 + length * dp0[r], z0[r] *= 1 + length * dz0[r], inv_z0[r] = 1 / z0[r];
            v0[r] += length * x0[r], gap += p0[r] * z0[r], driver += p0[r];
        }
        if (fades) px *= 1 + length * dpx, zx *= 1 + length * dzx, gap += px * zx;
        for (int64_t j = 0; j < S.slots + 2; j++) theta[j] += length * d_theta[j];
        share(p, p0, true), share(inv_z, inv_z0, true), share(v, v0, true);
    }
    report->iterations = iteration;
    if (status != CONVERGED) return status;

    for (int64_t i = 0; i < n; i++) y[i] = around_line(i) * over_scale;
    write(recording, mean, slope, scale, out);
    const double* e = dual;  // now the residual, divided by the scale
    double cost = 0.5 * total(n, [&](int64_t i) { return e[i] * e[i]; });
    for (int64_t j = 0; j < S.slots; j++) cost += 0.5 * S.penalty[j] * theta[j] * theta[j];
    cost += alpha * total(n, [&](int64_t i) { return out[2 * n + i]; }) / (scale * S.lead);
    if (fades) cost += price * px;
    if (S.slope > 0) cost += 0.5 * S.slope * theta[S.slots + 1] * theta[S.slots + 1];
    report->objective = cost * scale * scale;
    report->gap = report->own_gap;
    if (certify) report->gap = (cost - bound(alpha)) / larger(cost, OBJECTIVE_FLOOR * n);
    report->gap = larger(report->gap, ROUNDING);
    return report->gap <= 1e300 ? status : NOT_FINITE;
}

// |A^-1 misfit|^2.
inline double Solver::misfit_energy() const {
    double d1 = misfit0[0], d2 = 0, energy_of_d = d1 * d1;
    auto next = [&](double m) {
        const double d = (m - b2 * d2) - b1 * d1;
        d2 = d1, d1 = d, energy_of_d += d * d;
    };
    next(misfit0[1]);
    for (int k = 0; k < segments; k++)
        for (int t = 0; t < H && start(k) + t < n; t++) next(lane(misfit, k, t));
    return energy_of_d;
}

// Write phasic, tonic, driver, residual, splines, drift and initial state in the unit of the
// recording, and store the residual, divided by the scale, in `dual`.
inline void Solver::write(const double* recording, double mean, double slope, double scale,
                          double* out) {
    double *phasic = out, *tonic = out + n, *driver = out + 2 * n, *residual = out + 3 * n;
    double* spline = out + 4 * n;
    spread(theta, coefficients);
    for (int r = 0; r < 2; r++) {
        driver[r] = p0[r], tonic[r] = 0;
        for (int j = 0; j < 6; j++)
            tonic[r] += S.head[6 * r + j] * theta[j < 4 ? j : S.slots + j - 4];
    }
    for (int k = 0; k < segments; k++) {
        double c[4];
        for (int r = 0; r < 4; r++) c[r] = coefficients[k / L * 4 + r][k % L];
        const int64_t i = start(k);
        const int length = int(n - i < H ? n - i : H);
        for (int t = 0; t < length; t++) {
            const double* X = S.local + 4 * t;
            driver[i + t] = lane(p, k, t);
            tonic[i + t] = X[0] * c[0] + X[1] * c[1] + X[2] * c[2] + X[3] * c[3];
        }
    }
    const double middle = 0.5 * (n + 1);
    double r1 = 0, r2 = 0, p1 = 0, p2 = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p_i = driver[i];
        double r = (p_i + 2 * p1 + p2 - b2 * r2) - b1 * r1;
        if (fades && i < 2) r += i ? -S.rho * px : px;
        dual[i] = y[i] - r - tonic[i];
        phasic[i] = scale * r, driver[i] = scale * S.lead * p_i;
        tonic[i] = mean + slope * (i + 1 - middle) + scale * tonic[i];
        residual[i] = recording[i] - phasic[i] - tonic[i];
        r2 = r1, r1 = r, p2 = p1, p1 = p_i;
    }
    for (int64_t j = 0; j < S.splines; j++) spline[j] = scale * theta[1 + j];
    spline[S.splines] = scale * theta[S.slots] + mean - slope * middle;
    spline[S.splines + 1] = scale * theta[S.slots + 1] + slope * n;
    spline[S.splines + 2] = scale * px;
}

// Return a lower bound on the optimum from the dual point e = A'v, which is made feasible first.
// This is the same computation as Problem.certify.
inline double Solver::bound(double alpha) {
    double* e = dual;
    e[0] = v0[0] + b1 * v0[1] + b2 * row0(v, 0)[0][0];
    e[1] = v0[1] + b1 * row0(v, 0)[0][0] + b2 * row0(v, 0)[1][0];
    for (int k = 0; k < segments; k++) {
        const int64_t i = start(k);
        for (int t = 0; t < H && i + t < n; t++)
            e[i + t] = lane(v, k, t) + b1 * lane(v, k, t + 1) + b2 * lane(v, k, t + 2);
    }
    const double middle = 0.5 * (n + 1), spin = n * (double(n) * n - 1) / 12;
    const double mean = total(n, [&](int64_t i) { return e[i]; }) / n;
    const double slope =
        S.slope > 0 ? 0 : total(n, [&](int64_t i) { return (i + 1 - middle) * e[i]; }) / spin;
    double pressure = alpha, r1 = 0, r2 = 0, e1 = 0, e2 = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        const double e_i = e[i] -= mean + slope * (i + 1 - middle);
        const double r = (e_i + 2 * e1 + e2 - b2 * r2) - b1 * r1;
        pressure = larger(r, pressure);
        r2 = r1, r1 = r, e2 = e1, e1 = e_i;
    }
    for (int64_t j = 0; j < S.slots; j++) d_theta[j] = 0;
    for (int j = 0; j < 4; j++) d_theta[j] = S.head[j] * e[0] + S.head[6 + j] * e[1];
    for (int k = 0; k < segments; k++) {
        const int64_t i = start(k);
        const int length = int(n - i < H ? n - i : H);
        double c[4] = {};
        for (int t = 0; t < length; t++)
            for (int r = 0; r < 4; r++) c[r] += S.local[4 * t + r] * e[i + t];
        for (int r = 0; r < 4; r++)
            for (int j = 0; j < 4; j++)
                d_theta[S.first[k] + j] += S.spread[24 * k + 6 * r + j] * c[r];
    }
    if (fades) {  // the price of the initial state bounds the dual too
        double weight = 1, onto_state = 0;
        const double rho0 = b2 / S.rho;
        for (int64_t i = 0; i < n; i++) onto_state += weight * e[i], weight *= rho0;
        pressure = larger(onto_state * S.lead / S.fading, pressure);
    }
    const double shrink = alpha / pressure;
    double squares = total(n, [&](int64_t i) { return e[i] * e[i]; });
    if (S.slope > 0) {
        const double onto_ramp = total(n, [&](int64_t i) { return (i + 1.0) / n * e[i]; });
        squares += onto_ramp * onto_ramp / S.slope;
    }
    for (int64_t j = 0; j < S.slots; j++) squares += d_theta[j] * d_theta[j] / S.penalty[j];
    const double against = total(n, [&](int64_t i) { return y[i] * e[i]; });
    return shrink * against - 0.5 * shrink * shrink * squares;
}

}  // namespace
