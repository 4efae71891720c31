"""The mathematics in the plainest NumPy and Python; nothing here comes from ldlrpp.

Applied to absolute values the same functions bound the rounding error of any order of the same operations: see
`assert_close`.
"""

import numpy as np

# --- LDL -------------------------------------------------------------------------------------------------------------


def ldl_split(weights):
    """The weights (r, N) of every stage, as parts of an array of any layout."""
    if weights.ndim == 3:
        return list(weights)
    n_rows, width = weights.shape
    n_bits = width.bit_length() - 1
    # N = 2^n_bits is no power of the radix 2^k: a first stage of what remains
    rests = {2**k: 2 ** (n_bits % k) for k in range(2, min(n_bits, 6)) if n_bits % k}
    ((radix, rest),) = [(r, rest) for r, rest in rests.items() if rest + n_bits // (r.bit_length() - 1) * r == n_rows]
    return [weights[:rest], *weights[rest:].reshape(-1, radix, width)]


def ldl_stages(x, weights):
    """The inputs of all stages, and the output of the last; weights of any layout, or a list of stages (r, N)."""
    z, distance = [x], x.shape[1]
    for stage in ldl_split(weights) if isinstance(weights, np.ndarray) else weights:
        distance //= len(stage)
        z.append(sum(w * _other(z[-1], q, distance, len(stage)) for q, w in enumerate(stage)))
    return z


def _other(z, q, distance, radix):
    """At position p what is at p XOR q·distance."""
    batch, width = z.shape
    groups = z.reshape(batch, width // (radix * distance), radix, distance)
    return groups[:, :, np.arange(radix) ^ q].reshape(z.shape)


def ldl_forward(x, weights, scale, bias):
    return scale * ldl_stages(x, weights)[-1] + bias


def ldl_recursion(x, weights, scale, bias):
    """The less dense layer as first written down: split, mix, recurse on both halves, concatenate."""
    width = x.shape[1]
    if width == 1:
        return x * scale + bias
    half = width // 2
    in1, in2 = x[:, :half], x[:, half:]
    w11, w12 = weights[0][0, :half], weights[0][1, :half]
    w22, w21 = weights[0][0, half:], weights[0][1, half:]
    y1 = in1 * w11 + in2 * w12
    y2 = in1 * w21 + in2 * w22
    rest = weights[1:]
    return np.concatenate(
        [
            ldl_recursion(y1, [w[:, :half] for w in rest], scale[:half], bias[:half]),
            ldl_recursion(y2, [w[:, half:] for w in rest], scale[half:], bias[half:]),
        ],
        axis=1,
    )


def ldl_backward(grad_y, x, weights, scale):
    z = ldl_stages(x, weights)
    grad_scale, grad_bias = (grad_y * z[-1]).sum(axis=0), grad_y.sum(axis=0)
    grad_weights = np.empty_like(weights)
    grad, distance = grad_y * scale, 1
    for stage, grad_stage, z_in in reversed(list(zip(ldl_split(weights), ldl_split(grad_weights), z, strict=False))):
        for q in range(len(stage)):
            grad_stage[q] = (grad * _other(z_in, q, distance, len(stage))).sum(axis=0)
        grad = sum(_other(w * grad, q, distance, len(stage)) for q, w in enumerate(stage))
        distance *= len(stage)
    return grad, grad_weights, grad_scale, grad_bias


def butterfly(x, twiddle):
    """A butterfly of decreasing stride, factor by factor: pairs of positions a stride apart times a 2×2 matrix."""
    width = x.shape[1]
    for s, factors in enumerate(twiddle):
        stride = width // 2 ** (s + 1)
        pairs = x.reshape(len(x), 2**s, 2, stride)
        matrices = factors.reshape(2**s, stride, 2, 2)
        x = np.einsum("bkij,rbjk->rbik", matrices, pairs).reshape(len(x), width)
    return x


# --- RPP -------------------------------------------------------------------------------------------------------------


def rpp_matrix(hidden, permutation, signs, width=None):
    """The first columns of the wide matrix; permutation and signs (k, m, n)."""
    k, _, n = permutation.shape
    columns = [signs[h, :, j] * hidden[permutation[h, :, j], j] for h in range(k) for j in range(n)]
    return np.stack(columns[:width], axis=1)


def rpp_forward(x, hidden, permutation, signs, bias=0.0, width=None):
    """``bias`` has a value for every output, or for every column."""
    y = x @ rpp_matrix(hidden, permutation, signs, width)
    return y + np.resize(bias, y.shape[1])


def rpp_backward(grad_y, x, hidden, permutation, signs):
    n, width = hidden.shape[1], grad_y.shape[1]
    grad_matrix = x.T @ grad_y
    grad_hidden = np.zeros_like(hidden)
    for c in range(width):
        h, j = divmod(c, n)
        grad_hidden[permutation[h, :, j], j] += signs[h, :, j] * grad_matrix[:, c]
    return grad_y @ rpp_matrix(hidden, permutation, signs, width).T, grad_hidden, grad_y.sum(axis=0)


# --- The permutation, in Python's integers ---------------------------------------------------------------------------


def philox4x32(counter, key):
    """Philox-4x32-10 of Salmon et al., 2011."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 % 2**32, (p0 >> 32) ^ c[3] ^ k[1], p0 % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def key_words(n_words, seed, head, column):
    words = []
    while len(words) < n_words:
        words += philox4x32((len(words) // 4, column, head, 0), (seed % 2**32, seed // 2**32))
    return words[:n_words]


def permutation(m, seed, head, column):
    return permutation_and_signs(m, seed, head, column)[0]


def permutation_and_signs(m, seed, head, column):
    if m <= 64:
        order = list(range(m))
        for word, i in zip(key_words(m - 1, seed, head, column), range(m - 1, 0, -1), strict=True):
            j = word * (i + 1) // 2**32
            order[i], order[j] = order[j], order[i]
        words = philox4x32((0, column, head, 1), (seed % 2**32, seed // 2**32))
        return np.array(order), np.array([1 - 2 * (words[i // 32] >> i % 32 & 1) for i in range(m)])
    words = key_words(12 if m <= 512 else 8, seed, head, column)
    b = 16
    while b * b < m:
        b += 16
    a = -(-m // b)
    values, fs = feistel(np.arange(a * b), a, b, words)
    return walk(m, values, 1 - 2 * (np.bitwise_xor.reduce(fs) * 40501 % 2**16 // 2**15))


def walk(m, values, signs):
    last = np.arange(m)
    while (values[last] >= m).any():
        last = np.where(values[last] >= m, values[last], last)
    return values[last], signs[last]


def feistel(v, a, b, words, mix=True):
    """Where positions go, and the f of every round."""
    left, right, fs = v // b, v % b, []
    for t, word in enumerate(words):
        source, modulus = (right, a) if t % 2 == 0 else (left, b)
        f = (source * ((word % 2**16) | 1) + word // 2**16) % 2**16
        if mix:
            f ^= f >> 7
            f = f * 40501 % 2**16
        fs.append(f)
        f = f * modulus // 2**16
        if t % 2 == 0:
            left = (left + f) % a
        else:
            right = (right + f) % b
    return left * b + right, fs


# --- Dense -----------------------------------------------------------------------------------------------------------


def dense_forward(x, weights, bias):
    return x @ weights.T + bias


def dense_backward(grad_y, x, weights):
    return grad_y @ weights, grad_y.T @ x, grad_y.sum(axis=0)


# --- The rest of a step ----------------------------------------------------------------------------------------------


def adam_step(parameters, gradients, means, squares, n_decayed, penalty, decay, step_size, beta_1, beta_2, epsilon):
    """New parameters, means and squares."""
    decayed = np.arange(len(parameters)) < n_decayed
    g = gradients + penalty * decayed * parameters
    means, squares = beta_1 * means + (1 - beta_1) * g, beta_2 * squares + (1 - beta_2) * g * g
    return parameters * (1 - decay * decayed) - step_size * means / (np.sqrt(squares) + epsilon), means, squares


def sgd_step(parameters, gradients, velocities, n_decayed, penalty, learning_rate, momentum, nesterov):
    """New parameters and velocities."""
    g = gradients + penalty * (np.arange(len(parameters)) < n_decayed) * parameters
    velocities = momentum * velocities - learning_rate * g
    return parameters + (momentum * velocities - learning_rate * g if nesterov else velocities), velocities


def widen(x, repeated, width):
    """Rows again and again to a width, or with zeros behind them."""
    n = x.shape[1]
    return np.tile(x, -(-width // n))[:, :width] if repeated else np.pad(x, [(0, 0), (0, width - n)])


def fold(wide, repeated, n):
    """The transpose of `widen`."""
    return wide @ widen(np.eye(n), repeated, wide.shape[1]).T


def lowbias32(x):
    """Wellons's mixer of 32 bits."""
    x = x.astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def is_kept(numbers, seed, rate):
    """Which entries of these numbers dropout keeps."""
    low, high = np.uint32(seed % 2**32), np.uint32(seed // 2**32)
    return lowbias32(lowbias32(numbers.astype(np.uint32) + low) + high) >= np.uint32(
        min(round(rate * 2**32), 2**32 - 1)
    )


def logistic(z):
    return 1 / (1 + np.exp(-z))


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def loss(name, scores, targets, delta=1.0):
    """The loss of every row, and the gradients of these."""
    n, error = scores.shape[1], scores - targets
    if name == "squared_error":
        return (error**2).sum(axis=1) / 2 / n, error / n
    if name == "absolute_error":
        return np.abs(error).sum(axis=1) / n, np.sign(error) / n
    if name == "huber":
        inside = np.abs(error) <= delta
        losses = np.where(inside, error**2 / 2, delta * (np.abs(error) - delta / 2))
        return losses.sum(axis=1) / n, np.where(inside, error, delta * np.sign(error)) / n
    if name == "poisson":
        entropies = targets * np.log(np.where(targets > 0, targets, 1))
        losses = entropies - targets * scores - targets + np.exp(scores)
        return losses.sum(axis=1) / n, (np.exp(scores) - targets) / n
    if name == "softmax":
        return -(targets * np.log(softmax(scores))).sum(axis=1), softmax(scores) - targets
    p = logistic(scores)
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1), p - targets


# --- Comparison ------------------------------------------------------------------------------------------------------


def assert_close(actual, expected, magnitude, n_operations):
    """Compare with a result in float64, up to the rounding that ``actual``'s dtype allows.

    ``magnitude`` is the expected result computed from absolute values: n operations in any order, with or without
    fma, err by at most about n · eps · magnitude (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3).
    """
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    excess = np.abs(actual - expected) - n_operations * np.finfo(actual.dtype).eps * magnitude
    assert excess.max(initial=0) <= 0, f"error exceeds the bound by {excess.max()}"
