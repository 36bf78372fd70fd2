"""Small networks around operators that few architectures use: each of them between two linear layers."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, rows

CLS = "classification"


class Around(nn.Module):
    """linear, the function under test on [b, 12], linear."""
    def __init__(self, f, o=None, shape=None):
        super().__init__()
        self.a, self.f, self.shape = nn.Linear(10, 12), f, shape
        with torch.no_grad():
            probe = f(torch.randn(8, *(shape or (12,))))
        self.b = nn.Linear(probe.flatten(1).shape[1], 5)
        self.scale = nn.Parameter(torch.ones(12))
    def forward(self, x):
        y = self.a(x) * self.scale
        if self.shape: y = y.view(-1, *self.shape)
        return self.b(self.f(y).flatten(1))


def op(name, f, shape=None, opset=17, fold=True, **more): model("n-op-" + name, CLS, opset=opset, fold=fold, inputs=rows(10, (4, 4)) if more.get("axes") == {} else rows(10), **more)(lambda: Around(f, shape=shape))


op("cumprod", lambda x: torch.stack([torch.prod(x[:, :i + 1].abs() + 0.5, 1) for i in range(4)], 1))
op("prod", lambda x: torch.cat([x.prod(1), x.prod(2, keepdim=True).squeeze(2)], 1), (3, 4), opset=13)
op("norms", lambda x: torch.stack([x.norm(p=1, dim=1), torch.linalg.vector_norm(x, ord=2, dim=1), x.norm(p=float("inf"), dim=1), torch.linalg.norm(x, ord=3, dim=1)], 1), (3, 4))
op("variances", lambda x: torch.stack([x.var(1), x.var(1, unbiased=False), x.std(1), torch.std(x, dim=(1,), correction=0)], 1), (3, 4), opset=18)
op("var-mean", lambda x: torch.cat(torch.var_mean(x, dim=[1, 2], keepdim=True), 1), (3, 2, 2), opset=14, fold=False)
op("extremes", lambda x: torch.cat([x.amax((1, 2)), x.amin(-1).flatten(1), x.max(1).values.flatten(1), x.min(2)[0].flatten(1)], 1), (2, 2, 3))
op("ties", lambda x: torch.cat([torch.relu(x).amax(1, keepdim=True), torch.relu(x - 1).max(1, keepdim=True)[0], torch.clamp(x, -0.2, 0.2).amin(1, keepdim=True)], 1), opset=13, fold=False)
op("sort", lambda x: torch.sort(x, dim=1, descending=True)[0] * torch.arange(12, dtype=x.dtype))
op("kth", lambda x: torch.cat([torch.topk(x, 4, dim=2, largest=False)[0].flatten(1), x.topk(1, 1)[0].flatten(1), torch.sort(x, 1)[0][:, 1]], 1), (3, 4), opset=15)
op("argsort-gather", lambda x: torch.gather(x, 1, torch.argsort(x, dim=1, descending=True)[:, :5]))
op("scatter", lambda x: torch.zeros_like(x).scatter(1, torch.tensor([[3, 1, 0]]).expand(x.size(0), -1), x[:, :3]) + x.scatter_add(1, torch.tensor([[2, 2, 5]]).expand(x.size(0), -1), x[:, 3:6]), opset=16)
op("scatter-reduce", lambda x: torch.cat([x[:, :4].scatter_reduce(1, torch.tensor([[0, 1, 1, 3]]).expand(x.size(0), -1), x[:, 4:8], r) for r in ("prod", "amax", "amin", "sum")], 1), opset=18, fold=False)


def put(x):
    y = x.clone()
    y[:, [1, 4]] = x[:, [0, 2]] * 2
    y[:, 6:8] = 0.5
    y[..., -1] += x[..., 0]
    y[:, ::3] *= torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=x.dtype)
    return y


op("index-put", put, opset=17)
op("index-put-opset11", put, opset=11, fold=False)
op("masked", lambda x: torch.where(x > 0.5, x * 2, torch.where(x < -0.5, -x, torch.where((x > 0) ^ (x < -0.1), torch.full_like(x, 0.25), x.square()))).masked_fill(x.abs() < 0.05, 1.0))
op("masked-table", lambda x: torch.where(x > 0.3, torch.linspace(-1, 1, 12, dtype=x.dtype), x), opset=12)
op("masked-softmax", lambda x: torch.nan_to_num(torch.softmax(x.masked_fill(torch.arange(4) % 2 == 1, float("-inf")), -1)) @ x.transpose(1, 2), (3, 4))
op("unfold", lambda x: x.unfold(1, 4, 2).flatten(1) + F.unfold(x.view(-1, 1, 3, 4), (2, 2)).flatten(1)[:, :20])
op("strided", lambda x: torch.cat([torch.as_strided(x.contiguous(), (x.shape[0], 3, 4), (12, 4, 1)).flatten(1), x.flip(1)[:, ::2], x.roll(3, 1), torch.roll(x, (1, -2), (0, 1))], 1), opset=17)
op("flip-roll", lambda x: torch.cat([torch.flip(x, [1, 2]), torch.roll(x, shifts=-1, dims=2)], 1), (3, 4), opset=13, fold=False)
op("triangles", lambda x: torch.cat([x.tril(), x.triu(1), torch.tril(x, diagonal=-1)], 1), (3, 4), opset=14)
op("diagonals", lambda x: torch.cat([torch.diagonal(x[:, :3, :3], 0, 1, 2), torch.diagonal(x, 1, 1, 2), torch.einsum("bii->bi", x[:, :, 1:])], 1), (3, 4), opset=17)
op("meshgrid", lambda x: (lambda a, b: a * b + a.cos())(*torch.meshgrid(x[0, :4], x[0, 4:8], indexing="ij")).flatten().expand(x.shape[0], -1) + x[:, :1])
op("celu-selu", lambda x: F.celu(x, 1.3) + F.selu(x) + F.elu(x, 0.7))
op("shrinks", lambda x: torch.cat([F.hardshrink(x, 0.2), F.softshrink(x, 0.1), F.tanhshrink(x), F.threshold(x, 0.0, 0.0)], 1))
op("soft", lambda x: torch.cat([F.softsign(x), F.softplus(x, beta=2.0), F.mish(x), F.logsigmoid(x), F.softmin(x, dim=1)], 1), opset=18)
op("hard", lambda x: torch.cat([F.hardsigmoid(x), F.hardswish(3 * x), F.hardtanh(x, -0.3, 0.4), F.relu6(5 * x)], 1), opset=14, fold=False)
op("trigonometry", lambda x: torch.cat([torch.sin(x) * torch.cos(x), torch.tan(0.3 * x), torch.atan(x), torch.asin(torch.tanh(x) * 0.9), torch.acos(torch.tanh(x) * 0.9)], 1))
op("atan2", lambda x: torch.atan2(x[:, :6], x[:, 6:]), opset=17)
op("logarithms", lambda x: torch.cat([torch.log2(x.abs() + 1), torch.log10(x.abs() + 1), torch.log1p(x.square()), torch.exp(x * 0.3) - 1, torch.log(torch.sigmoid(x))], 1))
op("logsumexp", lambda x: torch.cat([torch.logsumexp(x, 2), torch.logsumexp(x, dim=1), torch.log(torch.exp(x[:, 0]) + torch.exp(x[:, 1]))], 1), (3, 4))
op("rounds", lambda x: x - torch.floor(x) + (x - torch.floor(x)) * 2 + x * torch.sign(x) + torch.remainder(x, 0.7) + torch.fmod(x, 0.6) + torch.round(x) * x)
op("division", lambda x: torch.cat([torch.div(x, 0.3, rounding_mode="floor") * x, torch.true_divide(x, x.abs() + 1), torch.reciprocal(x.square() + 1), torch.rsqrt(x.square() + 0.5)], 1))
op("powers", lambda x: torch.cat([x.pow(3), torch.pow(2.0, x), torch.pow(x.abs() + 0.1, x), x.abs().pow(0.5), x ** 4, x.pow(-2.0).clamp(max=3)], 1))
op("cosines", lambda x: torch.cat([F.cosine_similarity(x[:, :2], x[:, 1:], dim=-1), F.pairwise_distance(x[:, 0], x[:, 1], keepdim=True), F.normalize(x, p=1, dim=2).flatten(1), F.normalize(x, p=2.0, dim=1, eps=1e-3).flatten(1)], 1), (3, 4))
op("cdist", lambda x: torch.cat([torch.cdist(x, x[:, :2] + 0.3).flatten(1), torch.cdist(x[:, :2], x + 1, p=4.0).flatten(1)], 1), (3, 4))
op("dot-cross", lambda x: torch.cat([torch.cross(x[:, 0], x[:, 1], dim=1), torch.linalg.cross(x[:, 2], x[:, 3]), (x[:, 0] * x[:, 3]).sum(-1, keepdim=True), (x[:, 1] @ x[0, 2]).unsqueeze(1)], 1), (4, 3))
op("tensordot", lambda x: torch.cat([torch.tensordot(x, x[0], dims=([2], [1])).flatten(1), torch.einsum("bij,bkj,bi->bk", x, x, x[..., 0]), torch.einsum("...ij->...ji", x).flatten(1)], 1), (3, 4))
op("einsum-letters", lambda x: torch.cat([torch.einsum("zyx,zyw->zxw", x, x).flatten(1), torch.einsum("Qab,Qcb->Qac", x, x).flatten(1), torch.einsum("bij->b", x)[:, None], torch.einsum("nij,mij->nm", x, x).sum(1, keepdim=True)], 1), (3, 4), opset=13)
op("addmm", lambda x: torch.addmm(x, x @ x.t(), x, beta=0.5, alpha=0.1) + torch.addcmul(x, x, x, value=0.2), opset=15)
op("baddbmm", lambda x: torch.baddbmm(x[:, :, :3], x[:, :, :3], x[:, :, 1:], beta=0.3, alpha=1.7) @ x[:, :, :2].bmm(x[:, :2, :]), (3, 4), opset=14, fold=False)
op("repeats", lambda x: torch.cat([x.repeat(1, 2), x.repeat_interleave(2, dim=1), x[:, None].expand(-1, 2, -1).flatten(1), torch.tile(x, (1, 2)), x.unsqueeze(-1).expand(*x.shape, 2).reshape(x.shape[0], -1)], 1))
op("splits", lambda x: sum(a * (i + 1) for i, a in enumerate(torch.chunk(x, 5, dim=1)[:4])) + torch.split(x, [3, 3, 6], 1)[1] + torch.tensor_split(x, 4, dim=1)[2] + x.unbind(1)[0].unsqueeze(1) + x.narrow(1, 2, 3) + x.select(1, -1)[:, None])
op("stacks", lambda x: torch.cat([torch.stack((x, -x), -1).flatten(1), torch.hstack([x[:, :2], x[:, 3:]])], 1))
op("moves", lambda x: torch.cat([x.movedim(1, -1).flatten(1), x.permute(0, 3, 1, 2).reshape(x.shape[0], -1), torch.swapaxes(x, 1, 2).flatten(1), x.squeeze(-1).flatten(1) if x.shape[-1] == 1 else x.flatten(-2).flatten(1)], 1), (2, 3, 2))
op("glu-prelu", lambda x: torch.cat([F.glu(x), F.glu(x.view(-1, 4, 3), dim=1).flatten(1), F.prelu(x, torch.tensor([0.3], dtype=x.dtype)), F.prelu(x, torch.linspace(0.1, 0.9, 12, dtype=x.dtype))], 1))
op("pools-1d", lambda x: torch.cat([F.adaptive_avg_pool1d(x, 3).flatten(1), F.lp_pool1d(x.abs() + 0.1, 3, 2, stride=1).flatten(1), F.max_pool1d(x, 3, 1, 1).flatten(1), F.avg_pool1d(x, 3, 2, padding=1, ceil_mode=True).flatten(1), F.adaptive_max_pool1d(x, 2).flatten(1)], 1), (2, 6), axes={})
op("interpolate-1d", lambda x: torch.cat([F.interpolate(x, scale_factor=1.5, mode="linear").flatten(1), F.interpolate(x, size=4, mode="nearest").flatten(1), F.interpolate(x, size=11, mode="linear", align_corners=True).flatten(1)], 1), (2, 6))
op("interpolate-2d", lambda x: torch.cat([F.interpolate(x, scale_factor=(1.7, 2.3), mode="bilinear", align_corners=False, recompute_scale_factor=True).flatten(1), F.interpolate(x, size=(5, 3), mode="bicubic").flatten(1), F.interpolate(x, scale_factor=1.5, mode="nearest").flatten(1)], 1), (1, 3, 4), opset=18)
op("pads", lambda x: torch.cat([F.pad(x, (2, 1, 1, 0), mode="reflect").flatten(1), F.pad(x, (1, 2, 2, 1), mode="replicate").flatten(1), F.pad(x, (-1, 1, 0, -1), value=0.7).flatten(1), F.pad(x, (1, 1, 1, 1), mode="circular").flatten(1)], 1), (1, 3, 4), opset=18)
op("shuffles", lambda x: torch.cat([F.pixel_shuffle(x, 2).flatten(1), F.pixel_unshuffle(x.view(-1, 1, 2, 6), 2).flatten(1)], 1), (4, 1, 3))
op("normalisations", lambda x: torch.cat([F.group_norm(x, 2).flatten(1), F.instance_norm(x).flatten(1), F.layer_norm(x, (3,)).flatten(1), F.layer_norm(x, [4, 3]).flatten(1), F.local_response_norm(x, 2).flatten(1)], 1), (4, 3), axes={})
op("normalisations-opset11", lambda x: torch.cat([F.group_norm(x, 4).flatten(1), F.instance_norm(x).flatten(1), F.layer_norm(x, (4, 3)).flatten(1)], 1), (4, 3), opset=11, fold=False, axes={})
op("one-hot", lambda x: F.one_hot(x.argmax(1), 12).to(x.dtype) * x + F.one_hot(torch.argmin(x, dim=1), num_classes=12).float().to(x.dtype) * 2 * x)
op("bucketize", lambda x: torch.tensor([0.5, -1.0, 2.0, 0.1], dtype=x.dtype)[torch.bucketize(x, torch.tensor([-0.5, 0.0, 0.5], dtype=x.dtype))] * x)
op("advanced-index", lambda x: torch.cat([x[:, torch.tensor([0, 2]), torch.tensor([1, 3])], x[:, [2, 0]].flatten(1), x[:, torch.tensor([[0, 1], [2, 2]])].flatten(1), x[:, -1, ::2], x[..., None, 1].flatten(1), torch.gather(x, 2, torch.tensor([[[0], [3], [1]]]).expand(x.shape[0], 3, 1)).flatten(1)], 1), (3, 4))
op("casts", lambda x: torch.cat([(x > 0).to(x.dtype) * x, (x * 3).long().to(x.dtype) * x, x.double().sin().to(x.dtype), (x > 0).logical_and(x < 1).float().to(x.dtype) - x, (~(x > 0)).int().to(x.dtype) * x.abs()], 1), opset=16)
op("minimum-chain", lambda x: torch.maximum(torch.minimum(x, x.roll(1, 1)), torch.full((1,), -0.3, dtype=x.dtype)) + torch.clamp(x, min=x.flip(1) - 0.5) + torch.clip(x, max=0.2))
op("half-chain", lambda x: torch.cat([F.softmax(x, 1), F.layer_norm(x, (12,)), F.gelu(x), x.cumsum(1), F.normalize(x, dim=1), torch.logsumexp(x, 1, keepdim=True)], 1), dtype=torch.float16)
op("bfloat16-chain", lambda x: torch.cat([F.softmax(x, 1), F.layer_norm(x, (12,)), F.silu(x), x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype)], 1), dtype=torch.bfloat16)
op("cumulative", lambda x: torch.cat([x.cumsum(1), torch.flip(torch.cumsum(torch.flip(x, [1]), 1), [1]), torch.cumsum(x.view(-1, 3, 4), dim=2).flatten(1), x - x.cumsum(-1) / torch.arange(1, 13, dtype=x.dtype)], 1), opset=12)


class Sdpa(nn.Module):
    """scaled_dot_product_attention in one of its forms."""
    def __init__(self, form, h=4, kv=4):
        super().__init__()
        self.form, self.h, self.kv = form, h, kv
        self.q, self.k, self.v, self.o, self.bias = nn.Linear(8, 16), nn.Linear(8, 4 * kv), nn.Linear(8, 4 * kv), nn.Linear(16, 5), nn.Parameter(torch.randn(h, 7, 7))
    def forward(self, x):
        b, s, _ = x.shape
        heads = lambda y, n: y.view(b, s, n, 4).transpose(1, 2)
        q, k, v = heads(self.q(x), self.h), heads(self.k(x), self.kv), heads(self.v(x), self.kv)
        more, f = {}, self.form
        if f == "causal": more = dict(is_causal=True)
        if f == "float": more = dict(attn_mask=self.bias[:, :s, :s] * 2.0)
        if f == "bool": more = dict(attn_mask=torch.ones(s, s, dtype=torch.bool).tril(), scale=0.3)
        if f == "alibi": more = dict(attn_mask=-(torch.arange(s)[None] - torch.arange(s)[:, None]).abs().to(x.dtype) * torch.tensor([0.5, 0.25, 0.1, 0.05], dtype=x.dtype)[:, None, None])
        if f == "groups": k, v = k[:, :, None].expand(b, self.kv, self.h // self.kv, s, 4).flatten(1, 2), v.repeat_interleave(self.h // self.kv, 1)
        if f == "three":
            q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
            return self.o(F.scaled_dot_product_attention(q, k, v).view(b, self.h, s, 4).transpose(1, 2).flatten(2).mean(1))
        if f == "softmax2d":  # heads in the last but one axis, softmax over the keys' axis
            w = torch.einsum("bihd,bjhd->bijh", q.transpose(1, 2), k.transpose(1, 2)) / 2
            w = torch.softmax(w - w.amax(2, keepdim=True), dim=2)
            return self.o(torch.einsum("bijh,bjhd->bihd", w, v.transpose(1, 2)).reshape(b, s, 16).amax(1))
        return self.o(F.scaled_dot_product_attention(q, k, v, **more).transpose(1, 2).reshape(b, s, 16).mean(1))


sequence = lambda c: {"x": torch.randn((2, 3)[c], (7, 5)[c], 8)}
for form, opset in (("causal", 14), ("float", 17), ("bool", 18), ("alibi", 16), ("groups", 17), ("three", 20), ("softmax2d", 13)):
    model("n-sdpa-" + form, CLS, opset=opset, fold=opset % 2 == 0, inputs=sequence, axes={"x": {0: "b", 1: "s"}, "logits": {0: "b"}})(lambda f=form: Sdpa(f, kv=2 if f == "groups" else 4))
for form in ("causal", "bool", "groups"):
    model(f"n-sdpa-{form}-half", CLS, opset=17, dtype=torch.float16, inputs=sequence, axes={"x": {0: "b", 1: "s"}, "logits": {0: "b"}})(lambda f=form: Sdpa(f, kv=2 if f == "groups" else 4))
