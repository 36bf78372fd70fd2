"""Exports the decoders of networks.py as Optimum, ONNX Runtime's own tools and the GenAI model builder do, and records losses, gradients and greedy texts. See README.md."""
import base64, copy, json, os, sys
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import torch
from networks import Gpt2, Llama, Bloom, Mpt, T5Decoder

out = sys.argv[1]


def seeded(model, seed):
    torch.manual_seed(seed)
    for name, p in model.named_parameters():
        one = 1.0 if p.dim() == 1 and "weight" in name else 0.0
        p.data = one + torch.randn_like(p) * (0.35 if p.dim() > 1 else 0.1)
    return model.eval()


def kv_names(layers, parts=("key", "value")):
    return [f"{i}.{p}" for i in range(layers) for p in parts]


class Positional(torch.nn.Module):
    """The flat list of inputs that the exporter sees."""

    def __init__(self, model, names, with_past):
        super().__init__()
        self.model, self.names, self.with_past = model, names, with_past

    def forward(self, *values):
        given = dict(zip(self.names, values))
        past = list(values[len(self.names):]) if self.with_past else None
        if isinstance(self.model, T5Decoder):
            logits, present = self.model(given["input_ids"], given["encoder_hidden_states"], given["encoder_attention_mask"], past)
        else:
            ids = given["input_ids"]
            mask = given.get("attention_mask")
            if mask is None: mask = torch.ones(ids.shape[0], ids.shape[1] + (past[0].shape[-2] if past else 0), dtype=torch.int64)
            positions = given.get("position_ids")
            logits, present = self.model(ids, mask, positions, past)
        return (logits, *present)


def export(model, names, past, present, path, opset, axes, integer=torch.int64, with_past=True, sequence=3, length=2):
    """names: inputs beside the cache; past, present: names of the cache, in order; axes: dynamic axes by name."""
    batch = 2
    values = []
    for n in names:
        if n == "input_ids": values.append(torch.ones(batch, sequence, dtype=integer))
        elif n == "attention_mask": values.append(torch.ones(batch, sequence + (length if with_past else 0), dtype=integer))
        elif n == "position_ids": values.append(torch.arange(sequence, dtype=integer)[None].repeat(batch, 1) + (length if with_past else 0))
        elif n == "encoder_attention_mask": values.append(torch.ones(batch, 5, dtype=integer))
        elif n == "encoder_hidden_states": values.append(torch.randn(batch, 5, model.shared.embedding_dim))
    if with_past: values += model.cache(batch, length, 5) if isinstance(model, T5Decoder) else model.cache(batch, length)
    inputs = names + (past if with_past else [])
    torch.onnx.export(Positional(model, names, with_past), tuple(values), path, input_names=inputs, output_names=["logits"] + present,
                      dynamic_axes={k: v for k, v in axes.items() if k in inputs + ["logits"] + present}, opset_version=opset, do_constant_folding=True, dynamo=False)
    return onnx.load(path)


def merge(no_past, with_past, share):
    """What Optimum's merge_decoders does: the graphs become branches of one If; equal initializers move outside (share=True), the others stay in their branch."""
    no_past, with_past = copy.deepcopy(no_past), copy.deepcopy(with_past)
    shared = []
    if share:
        small = lambda t: len(t.dims) == 0 or (len(t.dims) == 1 and t.data_type in (6, 7))
        key = lambda t: (t.data_type, tuple(t.dims), numpy_helper.to_array(t).tobytes())
        others = {key(t): t.name for t in with_past.graph.initializer if not small(t)}
        for t in [t for t in no_past.graph.initializer if not small(t)]:
            if key(t) not in others: continue
            merged = t.name + "_merged_0"
            for model, old in ((no_past, t.name), (with_past, others[key(t)])):
                for node in model.graph.node:
                    for i, name in enumerate(node.input):
                        if name == old: node.input[i] = merged
                for initializer in [x for x in model.graph.initializer if x.name == old]: model.graph.initializer.remove(initializer)
            moved = onnx.TensorProto(); moved.CopyFrom(t); moved.name = merged
            shared.append(moved)
    seen, inputs = set(), []
    for value in list(no_past.graph.input) + list(with_past.graph.input):
        if value.name in seen: continue
        seen.add(value.name)
        inputs.append(next((v for v in with_past.graph.input if v.name == value.name), value))
    for value in inputs:
        if value.name == "attention_mask": value.type.tensor_type.shape.dim[1].dim_param = "attention_mask_sequence_length"
    # outputs that only one branch has (the encoder's cache): the other gives an empty one, as _unify_onnx_outputs does
    have = {o.name for o in with_past.graph.output}
    for i, o in enumerate(no_past.graph.output):
        if o.name in have: continue
        dims = [d.dim_value or 0 for d in o.type.tensor_type.shape.dim]
        with_past.graph.node.append(helper.make_node("Constant", [], [o.name], name="Constant_" + o.name, value=helper.make_tensor("", TensorProto.FLOAT, dims, [])))
        with_past.graph.output.insert(i, o)
    branch = lambda m, name: helper.make_graph(m.graph.node, name, [], list(no_past.graph.output), list(m.graph.initializer))
    inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    node = helper.make_node("If", ["use_cache_branch"], [o.name for o in no_past.graph.output], name="optimum::if",
                            then_branch=branch(with_past, "with_past"), else_branch=branch(no_past, "no_past"))
    graph = helper.make_graph([node], "merged", inputs, list(no_past.graph.output), shared)
    return helper.make_model(graph, producer_name="optimum-onnx", opset_imports=no_past.opset_import, ir_version=8)


def genai_llama(model, packed):
    """The GenAI model builder's graph for Llama: GroupQueryAttention with rotary inside, skip-normalisations, attention_mask only for its sums and its length."""
    nodes, weights = [], []

    def weight(name, tensor):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(tensor.detach().numpy()), name))
        return name

    def node(op, inputs, outputs, domain="", **a):
        nodes.append(helper.make_node(op, inputs, outputs, name="/" + outputs[0], domain=domain, **a))
        return outputs[0]

    ms = "com.microsoft"
    constant = lambda name, values, dtype: weights.append(numpy_helper.from_array(np.array(values, dtype), name)) or name
    node("ReduceSum", ["attention_mask", constant("one_axis", [1], np.int64)], ["mask_sum"], keepdims=0)
    node("Sub", ["mask_sum", constant("one", [1], np.int64)], ["mask_less"])
    node("Cast", ["mask_less"], ["seqlens_k"], to=TensorProto.INT32)
    node("Shape", ["attention_mask"], ["mask_shape"])
    node("Gather", ["mask_shape", constant("gather_index", 1, np.int64)], ["total"], axis=0)
    node("Cast", ["total"], ["total_seq_len"], to=TensorProto.INT32)
    node("Gather", [weight("model.embed_tokens.weight", model.embed_tokens.weight), "input_ids"], ["hidden"])
    cos, sin = model.tables(torch.arange(64)[None], torch.float32)
    weight("cos_cache", cos[0, 0, :, :model.dim // 2]); weight("sin_cache", sin[0, 0, :, :model.dim // 2])
    skip = hidden = "hidden"
    for i, layer in enumerate(model.layer):
        p = f"model.layers.{i}"
        norm = weight(f"{p}.input_layernorm.weight", layer.input_layernorm.weight)
        if i == 0: n = node("SimplifiedLayerNormalization", [hidden, norm], [f"{p}/n1"], axis=-1, epsilon=1e-5, stash_type=1)
        else:
            nodes.append(helper.make_node("SkipSimplifiedLayerNormalization", [skip, hidden, norm], [f"{p}/n1", "", "", f"{p}/s1"], name=f"/{p}/n1", domain=ms, epsilon=1e-5))
            n, skip = f"{p}/n1", f"{p}/s1"
        q, k, v = layer.q_proj.weight.T, layer.k_proj.weight.T, layer.v_proj.weight.T
        if packed:
            qkv = [node("MatMul", [n, weight(f"{p}.attn.qkv_proj.MatMul.weight", torch.cat([q, k, v], 1))], [f"{p}/qkv"]), "", ""]
        else:
            qkv = [node("MatMul", [n, weight(f"{p}.attn.{name}_proj.MatMul.weight", t)], [f"{p}/{name}"]) for name, t in (("q", q), ("k", k), ("v", v))]
        nodes.append(helper.make_node("GroupQueryAttention", qkv + [f"past_key_values.{i}.key", f"past_key_values.{i}.value", "seqlens_k", "total_seq_len", "cos_cache", "sin_cache"],
                                      [f"{p}/a", f"present.{i}.key", f"present.{i}.value"], name=f"/{p}/attn/GroupQueryAttention", domain=ms,
                                      num_heads=model.heads, kv_num_heads=model.kv, scale=1 / np.sqrt(model.dim), do_rotary=1, rotary_interleaved=0))
        o = node("MatMul", [f"{p}/a", weight(f"{p}.attn.o_proj.MatMul.weight", layer.o_proj.weight.T)], [f"{p}/o"])
        norm = weight(f"{p}.post_attention_layernorm.weight", layer.post_attention_layernorm.weight)
        nodes.append(helper.make_node("SkipSimplifiedLayerNormalization", [skip, o, norm], [f"{p}/n2", "", "", f"{p}/s2"], name=f"/{p}/n2", domain=ms, epsilon=1e-5))
        skip = f"{p}/s2"
        gate = node("MatMul", [f"{p}/n2", weight(f"{p}.mlp.gate_proj.MatMul.weight", layer.gate_proj.weight.T)], [f"{p}/gate"])
        up = node("MatMul", [f"{p}/n2", weight(f"{p}.mlp.up_proj.MatMul.weight", layer.up_proj.weight.T)], [f"{p}/up"])
        act = node("Mul", [gate, node("Sigmoid", [gate], [f"{p}/sig"])], [f"{p}/silu"])
        hidden = node("MatMul", [node("Mul", [act, up], [f"{p}/gated"]), weight(f"{p}.mlp.down_proj.MatMul.weight", layer.down_proj.weight.T)], [f"{p}/down"])
    nodes.append(helper.make_node("SkipSimplifiedLayerNormalization", [skip, hidden, weight("model.norm.weight", model.norm.weight)], ["final"], name="/final", domain=ms, epsilon=1e-5))
    node("MatMul", ["final", weight("lm_head.MatMul.weight", model.lm_head.weight.T)], ["logits"])
    info = helper.make_tensor_value_info
    caches = lambda stem, length: [info(f"{stem}.{n}", TensorProto.FLOAT, ["batch_size", model.kv, length, model.dim]) for n in kv_names(model.layers)]
    graph = helper.make_graph(nodes, "main_graph",
        [info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]), info("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])] + caches("past_key_values", "past_sequence_length"),
        [info("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", model.lm_head.out_features])] + caches("present", "total_sequence_length"), weights)
    return helper.make_model(graph, producer_name="onnxruntime-genai", opset_imports=[helper.make_opsetid("", 14), helper.make_opsetid(ms, 1)], ir_version=7)


def tensors(graph):
    """All initializers and Constants, subgraphs included."""
    for t in graph.initializer: yield t.name, t
    for n in graph.node:
        for a in n.attribute:
            if a.type == onnx.AttributeProto.GRAPH: yield from tensors(a.g)
            if n.op_type == "Constant" and a.name == "value": yield n.output[0], a.t


def describe(model, proto):
    """Where each parameter lies: initializers of its values, as they are, transposed, or as columns of a packed matrix."""
    stored = {}
    for name, t in tensors(proto.graph):
        if t.data_type == TensorProto.FLOAT: stored.setdefault(name, numpy_helper.to_array(t))
    result = []
    for name, p in model.named_parameters():
        value, homes = p.detach().numpy(), []
        for key, array in stored.items():
            if array.shape == value.shape and np.array_equal(array, value): homes.append({"name": key, "layout": "as_is"})
            elif value.ndim == 2 and array.shape == value.T.shape and np.array_equal(array, value.T): homes.append({"name": key, "layout": "transposed"})
            elif value.ndim == 2 and array.ndim == 2 and array.shape[0] == value.shape[1] and array.shape[1] > value.shape[0]:
                for c in range(array.shape[1] - value.shape[0] + 1):
                    if np.array_equal(array[:, c:c + value.shape[0]], value.T): homes.append({"name": key, "layout": "columns", "first": c})
        assert homes, name
        result.append({"name": name, "shape": list(value.shape), "initializers": homes})
    return result


def tensor(t):
    t = t.detach()
    kind = str(t.dtype).replace("torch.", "")
    return {"shape": list(t.shape), "dtype": kind, "data": t.flatten().tolist()}


def record(folder, model, proto, names, cases, texts=(), integer=torch.int64):
    os.makedirs(folder, exist_ok=True)
    if not any(n.domain for n in proto.graph.node) and not any(n.op_type == "SimplifiedLayerNormalization" for n in proto.graph.node): onnx.checker.check_model(proto)
    onnx.save(proto, f"{folder}/model.onnx")
    double = copy.deepcopy(model).double()
    golden = {"parameters": describe(model, proto), "cases": [], "greedy": []}
    for inputs, labels in cases:
        double.zero_grad()
        run = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        if isinstance(model, T5Decoder):
            logits, _ = double(run["input_ids"], run["encoder_hidden_states"], run["encoder_attention_mask"], None)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        else:
            logits, _ = double(run["input_ids"], run["attention_mask"], run["position_ids"], None)
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        gradients = {n: p.grad.float().numpy() for n, p in double.named_parameters()}
        golden["cases"].append({
            "inputs": {k: tensor(v if v.is_floating_point() else v.to(integer)) for k, v in inputs.items() if k in names}, "labels": tensor(labels), "loss": loss.item(),
            "gradients": {n: base64.b64encode(g.astype("<f4").tobytes()).decode() for n, g in gradients.items()}})
    for prompt in texts:
        ids = list(prompt)
        with torch.no_grad():
            for _ in range(12):
                row = torch.tensor([ids])
                logits, _ = double(row, torch.ones_like(row), torch.arange(len(ids))[None], None)
                top = logits[0, -1].topk(2).values
                assert top[0] - top[1] > 1e-4, f"{folder}: a tie"
                ids.append(int(logits[0, -1].argmax()))
        golden["greedy"].append({"prompt": list(prompt), "tokens": ids[len(prompt):]})
    json.dump(golden, open(f"{folder}/golden.json", "w"))
    print(folder, os.path.getsize(f"{folder}/model.onnx"), os.path.getsize(f"{folder}/golden.json"))


def text_cases(vocab):
    g = torch.Generator().manual_seed(7)
    ids = torch.randint(3, vocab, (2, 7), generator=g)
    mask = torch.ones_like(ids)
    labels = ids.clone(); labels[1, :2] = -100
    whole = dict(input_ids=ids, attention_mask=mask, position_ids=torch.arange(7)[None].repeat(2, 1)), labels
    ids, mask = torch.randint(3, vocab, (3, 9), generator=g), torch.ones(3, 9, dtype=torch.int64)
    labels = ids.clone()
    for row, length in ((0, 6), (2, 4)):
        ids[row, length:], mask[row, length:], labels[row, length:] = 0, 0, -100
    return [whole, (dict(input_ids=ids, attention_mask=mask, position_ids=torch.arange(9)[None].repeat(3, 1)), labels)]


prompts = [[5, 17, 9, 30], [8, 22], [31, 4, 12, 6, 19, 25, 7], [11, 13, 14, 15]]
batch, seq, past_axis = {0: "batch_size"}, {0: "batch_size", 1: "sequence_length"}, {0: "batch_size", 2: "past_sequence_length"}
grown = {0: "batch_size", 2: "past_sequence_length + sequence_length"}


def optimum_axes(layers, parts=("key", "value"), past=past_axis, present=grown):
    axes = dict(input_ids=seq, attention_mask={0: "batch_size", 1: "past_sequence_length + sequence_length"}, position_ids=seq, logits=seq)
    pick = lambda a, n: a(n) if callable(a) else a
    for n in kv_names(layers, parts): axes[f"past_key_values.{n}"], axes[f"present.{n}"] = pick(past, n), pick(present, n)
    return axes


def optimum(model, path, opset, names, layers, **more):
    kv = kv_names(layers)
    return export(model, names, [f"past_key_values.{n}" for n in kv], [f"present.{n}" for n in kv], path, opset, more.pop("axes", optimum_axes(layers)), **more)


tmp = "/tmp/x.onnx"
full = ["input_ids", "attention_mask", "position_ids"]
gpt = seeded(Gpt2(), 1)
record(f"{out}/gpt2-optimum", gpt, optimum(gpt, tmp, 14, full, 2), full, text_cases(40), prompts)

joined = seeded(Gpt2(layers=1, joined=True), 2)
axes = dict(input_ids=seq, position_ids=seq, attention_mask={0: "batch_size", 1: "total_seq_len"}, logits=seq, past_0={1: "batch_size", 3: "past_seq_len"}, present_0={1: "batch_size", 3: "total_seq_len"})
order = ["input_ids", "position_ids", "attention_mask"]
record(f"{out}/gpt2-joined", joined, export(joined, order, ["past_0"], ["present_0"], tmp, 11, axes, integer=torch.int32), order, text_cases(40), prompts, torch.int32)

llama = seeded(Llama(), 3)
record(f"{out}/llama-optimum", llama, optimum(llama, tmp, 17, full, 2), full, text_cases(40), prompts)
record(f"{out}/llama-genai", llama, genai_llama(llama, packed=False), full[:2], text_cases(40), prompts)
record(f"{out}/llama-genai-packed", llama, genai_llama(llama, packed=True), full[:2], text_cases(40), prompts)

bloom = seeded(Bloom(layers=1), 4)
fused = lambda last: lambda n: {0: "batch_size x num_heads", (2 if n.endswith("key") else 1): last}
record(f"{out}/bloom-fused", bloom, optimum(bloom, tmp, 13, full[:2], 1, axes=optimum_axes(1, past=fused("past_sequence_length"), present=fused("total_length"))), full[:2], text_cases(40), prompts)

mpt = seeded(Mpt(), 5)
turned = lambda last: lambda n: {0: "batch_size", (3 if n.endswith("key") else 2): last}
record(f"{out}/mpt-turned", mpt, optimum(mpt, tmp, 16, full[:2], 1, axes=optimum_axes(1, past=turned("past_sequence_length"), present=turned("total_length"))), full[:2], text_cases(40), prompts)

for name, opset, share in (("gpt2-merged", 13, True), ("gpt2-merged-apart", 11, False)):
    single = seeded(Gpt2(layers=1), 6)
    one = optimum(single, tmp, opset, full, 1, with_past=False)
    other = optimum(single, tmp, opset, full, 1)
    record(f"{out}/{name}", single, merge(one, other, share), full, text_cases(40), prompts)

def t5_decoder():
    """Blocks that outweigh the tied embedding, so that what it writes changes from token to token and from source to source."""
    model = seeded(T5Decoder(layers=1), 15)
    for b in model.block:
        for p in (b.o, b.cross_o, b.wo): p.weight.data *= 8
    return model


t5 = t5_decoder()
parts = ("decoder.key", "decoder.value", "encoder.key", "encoder.value")
names = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"]
length = lambda decoder: lambda n: {0: "batch_size", 2: decoder if "decoder" in n else "encoder_sequence_length"}
axes = optimum_axes(1, parts, length("past_decoder_sequence_length"), length("past_decoder_sequence_length + 1"))
axes |= dict(encoder_attention_mask={0: "batch_size", 1: "encoder_sequence_length"}, encoder_hidden_states={0: "batch_size", 1: "encoder_sequence_length"})
keys = kv_names(1, parts)
one = export(t5, names, [], [f"present.{n}" for n in keys], tmp, 13, axes, with_past=False)
other = export(t5, names, [f"past_key_values.{n}" for n in keys], [f"present.{n}" for n in keys if "decoder" in n], tmp, 13, axes)
g = torch.Generator().manual_seed(9)
ids = torch.randint(3, 40, (2, 6), generator=g)
labels = torch.randint(3, 40, (2, 6), generator=g); labels[0, 4:] = -100
mask = torch.ones(2, 5, dtype=torch.int64); mask[1, 3:] = 0
case = dict(encoder_attention_mask=mask, input_ids=ids, encoder_hidden_states=torch.randn(2, 5, 16, generator=g)), labels
record(f"{out}/t5-merged", t5, merge(one, other, True), names, [case])
onnx.save(other, f"{out}/t5-merged/with-past.onnx")
