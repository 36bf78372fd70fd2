namespace Lift.Ort.Gradients;

public static partial class FallbackFunctions
{
    // "one", "two", … are made by CastLike so that a body serves float and double. Reductions take their axes as an input in every opset from 17 on.
    private static readonly FunctionBody[] bodies =
    [
        // A build that has no kernel accumulates nothing: the host takes the gradients from the graph's outputs.
        new("InPlaceAccumulatorV2(accumulation_buffer, value, overwrite_flag) -> updated_flag", "updated_flag = Identity(overwrite_flag)"),

        new("SoftmaxGrad_13<axis>(dY, Y) -> dX", """
            axis = Constant<value_int=@axis>()
            vector = Constant<value_ints=[1]>()
            axes = Reshape(axis, vector)
            products = Mul(dY, Y)
            dot = ReduceSum<keepdims=1>(products, axes)
            centred = Sub(dY, dot)
            dX = Mul(Y, centred)
            """),

        new("LogSoftmaxGrad_13<axis>(dY, X) -> dX", """
            axis = Constant<value_int=@axis>()
            vector = Constant<value_ints=[1]>()
            axes = Reshape(axis, vector)
            sum = ReduceSum<keepdims=1>(dY, axes)
            probability = Exp(X)
            share = Mul(probability, sum)
            dX = Sub(dY, share)
            """),

        // dX = (softmax − onehot) · dY / (number of labels that count), without a one-hot tensor: −1 is added at each row's label.
        new("SoftmaxCrossEntropyLossInternalGrad<reduction>(dY, log_prob, label, weight, ignore_index) -> d_logits", """
            label64 = Cast<to=7>(label)
            ignored = Equal(label64, ignore_index)
            counted = Not(ignored)
            zero = Constant<value_int=0>()
            class = Where(ignored, zero, label64)
            counts = CastLike(counted, log_prob)
            total = ReduceSum<keepdims=0>(counts)
            one_f = Constant<value_float=1>()
            one = CastLike(one_f, log_prob)
            divisor = Max(total, one)
            scale = Div(dY, divisor)
            row_scale = Mul(counts, scale)
            last = Constant<value_ints=[1]>()
            column = Unsqueeze(row_scale, last)
            index = Unsqueeze(class, last)
            shape = Shape(index)
            minus = Neg(one)
            updates = Expand(minus, shape)
            probability = Exp(log_prob)
            difference = ScatterElements<axis=1, reduction="add">(probability, index, updates)
            d_logits = Mul(difference, column)
            """),

        // For axis 0 only: rows of dY are added to rows of zeros.
        new("GatherGrad<axis>(shape, indices, dY) -> dX", """
            zero_f = Constant<value_float=0>()
            zero = CastLike(zero_f, dY)
            shape64 = Cast<to=7>(shape)
            zeros = Expand(zero, shape64)
            indices64 = Cast<to=7>(indices)
            column = Constant<value_ints=[-1, 1]>()
            rows = Reshape(indices64, column)
            count = Size(indices64)
            vector = Constant<value_ints=[1]>()
            counts = Reshape(count, vector)
            end = Constant<value_ints=[9223372036854775807]>()
            inner = Slice(shape64, vector, end)
            update_shape = Concat<axis=0>(counts, inner)
            updates = Reshape<allowzero=1>(dY, update_shape)
            dX = ScatterND<reduction="add">(zeros, rows, updates)
            """),

        // Each number is shifted up until those above it fall out of the byte, then down to its place.
        new("DequantizeNBits<bits>(packed, scale, zero) -> y", """
            nothing = Constant<value_int=0>()
            byte = Constant<value_int=8>()
            bits = Constant<value_int=@bits>()
            places = Range(nothing, byte, bits)
            unused = Sub(byte, bits)
            up64 = Sub(unused, places)
            up = Cast<to=2>(up64)
            down = Cast<to=2>(unused)
            last = Constant<value_ints=[-1]>()
            column = Unsqueeze(packed, last)
            raised = BitShift<direction="LEFT">(column, up)
            number = BitShift<direction="RIGHT">(raised, down)
            number_t = CastLike(number, scale)
            blocks = Constant<value_ints=[0, 0, -1]>()
            q = Reshape(number_t, blocks)
            centred = Sub(q, zero)
            scaled = Mul(centred, scale)
            rows = Constant<value_ints=[0, -1]>()
            y = Reshape(scaled, rows)
            """),

        new("LayerNormalizationGrad<axis>(Y_grad, X, scale, mean, inv_std_dev) -> X_grad, scale_grad, bias_grad", $"""
            mean_t = CastLike(mean, X)
            inverse = CastLike(inv_std_dev, X)
            centred = Sub(X, mean_t)
            normal = Mul(centred, inverse)
            {Rows}
            sum = ReduceSum<keepdims=1>(g, last)
            average = Div(sum, width)
            without_mean = Sub(g, average)
            rest = Sub(without_mean, along)
            X_grad = Mul(rest, inverse)
            scale_grad = ReduceSum<keepdims=0>(scale_rows, first)
            bias_rows = Reshape<allowzero=1>(Y_grad, matrix)
            bias_grad = ReduceSum<keepdims=0>(bias_rows, first)
            """),

        new("SimplifiedLayerNormalizationGrad<axis>(Y_grad, X, scale, inv_std_var) -> X_grad, scale_grad", $"""
            inverse = CastLike(inv_std_var, X)
            normal = Mul(X, inverse)
            {Rows}
            rest = Sub(g, along)
            X_grad = Mul(rest, inverse)
            scale_grad = ReduceSum<keepdims=0>(scale_rows, first)
            """),

        new("SigmoidGrad(dY, Y) -> dX", """
            one_f = Constant<value_float=1>()
            one = CastLike(one_f, Y)
            rest = Sub(one, Y)
            slope = Mul(Y, rest)
            dX = Mul(dY, slope)
            """),

        new("TanhGrad(dY, Y) -> dX", """
            one_f = Constant<value_float=1>()
            one = CastLike(one_f, Y)
            square = Mul(Y, Y)
            slope = Sub(one, square)
            dX = Mul(dY, slope)
            """),

        new("ReluGrad(dY, X) -> dX", """
            zero_f = Constant<value_float=0>()
            zero = CastLike(zero_f, X)
            positive = Greater(X, zero)
            dX = Where(positive, dY, zero)
            """),

        // Φ(x) + x · φ(x)
        new("GeluGrad(dY, X) -> dX", """
            root_f = Constant<value_float=0.70710678>()
            root = CastLike(root_f, X)
            half_f = Constant<value_float=0.5>()
            half = CastLike(half_f, X)
            norm_f = Constant<value_float=0.39894228>()
            norm = CastLike(norm_f, X)
            scaled = Mul(X, root)
            error = Erf(scaled)
            half_error = Mul(error, half)
            normal = Add(half_error, half)
            square = Mul(scaled, scaled)
            minus = Neg(square)
            exponential = Exp(minus)
            density = Mul(exponential, norm)
            along = Mul(X, density)
            slope = Add(normal, along)
            dX = Mul(dY, slope)
            """),

        // With v = 2√(2/π)(x + 0.044715x³) and s = σ(v): s · (1 + x · v′ · (1 − s)), v′ = 2√(2/π)(1 + 3 · 0.044715x²)
        new("FastGeluGrad(dY, X) -> dX", """
            one_f = Constant<value_float=1>()
            one = CastLike(one_f, X)
            three_f = Constant<value_float=3>()
            three = CastLike(three_f, X)
            root_f = Constant<value_float=1.5957691>()
            root = CastLike(root_f, X)
            cubic_f = Constant<value_float=0.044715>()
            cubic = CastLike(cubic_f, X)
            square = Mul(X, X)
            bend = Mul(square, cubic)
            factor = Add(one, bend)
            x_root = Mul(X, root)
            v = Mul(x_root, factor)
            s = Sigmoid(v)
            bend3 = Mul(bend, three)
            factor3 = Add(one, bend3)
            x_slope = Mul(x_root, factor3)
            rest = Sub(one, s)
            change = Mul(x_slope, rest)
            inner = Add(one, change)
            slope = Mul(s, inner)
            dX = Mul(dY, slope)
            """),

        // σ(αx) · (1 + αx · (1 − σ(αx)))
        new("QuickGeluGrad<alpha>(dY, X) -> dX", """
            one_f = Constant<value_float=1>()
            one = CastLike(one_f, X)
            alpha_f = Constant<value_float=@alpha>()
            alpha = CastLike(alpha_f, X)
            scaled = Mul(X, alpha)
            s = Sigmoid(scaled)
            rest = Sub(one, s)
            change = Mul(scaled, rest)
            inner = Add(one, change)
            slope = Mul(s, inner)
            dX = Mul(dY, slope)
            """),
    ];

    // What both normalizations share: g = dY ⊙ scale, its part along the normalized row, and the rows that are summed for dscale.
    private const string Rows = """
        last = Constant<value_ints=[-1]>()
        first = Constant<value_ints=[0]>()
        width64 = Shape<start=-1>(X)
        width = CastLike(width64, X)
        g = Mul(Y_grad, scale)
        products = Mul(g, normal)
        dot = ReduceSum<keepdims=1>(products, last)
        share = Div(dot, width)
        along = Mul(normal, share)
        scale_terms = Mul(Y_grad, normal)
        size = Size(X)
        elements = Reshape(size, last)
        rows64 = Div(elements, width64)
        matrix = Concat<axis=0>(rows64, width64)
        scale_rows = Reshape<allowzero=1>(scale_terms, matrix)
        """;
}
