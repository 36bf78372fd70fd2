"""More vision: dense prediction, super-resolution, sampling, capsules, diffusion, video, mixtures of convolution and attention."""
import importlib, math
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv
from harness import model, images
from decoders import Block
from vision import fused

CLS, SEG = "classification", "segmentation"


class Aspp(nn.Module):
    """DeepLab v3+: dilations, image pooling upsampled to the size, low-level features, separable convolutions with BatchNorm in evaluation form."""
    def __init__(self):
        super().__init__()
        cbr = lambda i, o, k=1, **m: nn.Sequential(nn.Conv2d(i, o, k, bias=False, **m), nn.BatchNorm2d(o), nn.ReLU6())
        self.low, self.high = cbr(3, 8, 3, stride=2, padding=1), cbr(8, 12, 3, stride=2, padding=1)
        self.branches = nn.ModuleList([cbr(12, 6)] + [nn.Sequential(nn.Conv2d(12, 12, 3, padding=r, dilation=r, groups=12), cbr(12, 6)) for r in (2, 3)])
        self.pool, self.project, self.skip, self.out = nn.Sequential(nn.AdaptiveAvgPool2d(1), cbr(12, 6)), cbr(24, 8), cbr(8, 4), nn.Conv2d(12, 5, 1)
    def forward(self, x):
        low = self.low(x)
        h = self.high(low)
        p = F.interpolate(self.pool(h), size=h.shape[-2:], mode="bilinear", align_corners=False)
        y = self.project(torch.cat([b(h) for b in self.branches] + [p], dim=1))
        y = F.interpolate(y, size=low.shape[2:], mode="bilinear", align_corners=True)
        return F.interpolate(self.out(torch.cat([y, self.skip(low)], 1)), size=x.shape[2:], mode="bilinear")


model("n-deeplab-plus", SEG, opset=17, training="preserve", inputs=images(size=(16, 16)))(Aspp)
model("n-deeplab-plus-sizes", SEG, opset=14, fold=False, training="preserve", inputs=images(sizes=((16, 16), (20, 28))), axes={"pixel_values": {0: "b", 2: "h", 3: "w"}, "logits": {0: "b", 2: "h", 3: "w"}})(Aspp)


class Edsr(nn.Module):
    """Residual scaling, channel attention (RCAN), weight-normalised wide activation (WDSR), pixel unshuffle and shuffle, clamp of the image."""
    def __init__(self):
        super().__init__()
        wn = nn.utils.weight_norm
        self.head, self.a, self.b, self.down, self.up, self.tail, self.skip = nn.Conv2d(4, 8, 3, padding=1), wn(nn.Conv2d(8, 24, 3, padding=1)), wn(nn.Conv2d(24, 8, 3, padding=1)), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1), nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(1, 4, 5, padding=2)
    def forward(self, x):
        y = self.head(F.pixel_unshuffle(x - 0.45, 2))
        r = self.b(F.relu(self.a(y)))
        r = r * torch.sigmoid(self.up(F.relu(self.down(r.mean((2, 3), keepdim=True)))))
        y = F.pixel_shuffle(self.tail(y + r * 0.1), 4)
        return torch.clamp(y + F.pixel_shuffle(self.skip(x - 0.45), 2) + 0.45, -3, 3)


model("n-super-resolution", "mse", opset=17, inputs=images(1, (8, 8)), by_graph=True)(Edsr)
model("n-super-resolution-unfolded", "mse", opset=12, fold=False, inputs=images(1, (8, 8)), by_graph=True)(Edsr)


class Sampler(nn.Module):
    """affine_grid and grid_sample in a mode; deformable offsets added to a base grid."""
    def __init__(self, mode, padding, corners):
        super().__init__()
        self.more = dict(mode=mode, padding_mode=padding, align_corners=corners)
        self.conv, self.offset, self.theta, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 2, 3, padding=1), nn.Linear(6, 6), nn.Linear(6, 5)
    def forward(self, x):
        f = torch.tanh(self.conv(x))
        theta = self.theta(f.mean((2, 3))).view(-1, 2, 3) * 0.3 + torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=x.dtype)
        f = F.grid_sample(f, F.affine_grid(theta, list(f.shape), align_corners=self.more["align_corners"]), **self.more)
        h, w = f.shape[-2:]
        base = torch.stack(torch.meshgrid(torch.linspace(-1, 1, w, dtype=x.dtype), torch.linspace(-1, 1, h, dtype=x.dtype), indexing="xy"), -1)
        f = F.grid_sample(f, base[None] + 0.1 * torch.tanh(self.offset(f)).permute(0, 2, 3, 1), **self.more)
        return self.head(f.flatten(2).max(-1).values)


for mode, padding, corners, opset in (("bilinear", "zeros", False, 20), ("bilinear", "border", True, 20), ("bicubic", "reflection", False, 20), ("nearest", "zeros", True, 20)):
    model(f"n-grid-{mode}-{padding}", CLS, opset=opset, fold=padding != "border", inputs=images(size=(9, 11), batches=(2, 2)), axes={"pixel_values": {}}, by_graph=True)(lambda m=mode, p=padding, c=corners: Sampler(m, p, c))


class Diffusion(nn.Module):
    """Time embedding by sin and cos, FiLM, GroupNorm, attention over pixels, nearest upsampling, skip by cat."""
    def __init__(self, c=8):
        super().__init__()
        self.t1, self.t2, self.inp, self.n1, self.c1, self.film, self.n2, self.c2 = nn.Linear(16, 16), nn.Linear(16, 16), nn.Conv2d(1, c, 3, padding=1), nn.GroupNorm(4, c), nn.Conv2d(c, c, 3, 1, 1), nn.Linear(16, 2 * c), nn.GroupNorm(4, c), nn.Conv2d(c, c, 3, padding=1)
        self.down, self.an, self.q, self.k, self.v, self.o, self.up, self.out = nn.Conv2d(c, c, 3, 2, 1), nn.GroupNorm(2, c, eps=1e-6), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(2 * c, 1, 1)
    def forward(self, x, timesteps):
        f = torch.exp(-math.log(10000) * torch.arange(start=0, end=8, dtype=torch.float32) / 8)
        a = timesteps[:, None].float() * f[None]
        e = self.t2(F.silu(self.t1(torch.cat([torch.cos(a), torch.sin(a)], dim=-1).to(x.dtype))))
        x = self.inp(x)
        h = self.c1(F.silu(self.n1(x)))
        scale, shift = self.film(F.silu(e))[:, :, None, None].chunk(2, dim=1)
        x = x + self.c2(F.silu(self.n2(h) * (1 + scale) + shift))
        d = self.down(x)
        b, c, hh, w = d.shape
        n = self.an(d)
        q, k, v = (p(n).reshape(b, c, hh * w) for p in (self.q, self.k, self.v))
        m = torch.softmax(torch.bmm(q.permute(0, 2, 1), k) * int(c) ** -0.5, dim=2).permute(0, 2, 1)
        d = d + self.o(torch.bmm(v, m).reshape(b, c, hh, w))
        return self.out(torch.cat([self.up(F.interpolate(d, scale_factor=2.0, mode="nearest")), x], dim=1))


model("n-diffusion", "mse", opset=17, inputs=lambda c: {"sample": torch.randn((2, 3)[c], 1, 8, 8), "timestep": torch.randint(0, 1000, ((2, 3)[c],))})(Diffusion)
model("n-diffusion-half", "mse", opset=17, dtype=torch.float16, inputs=lambda c: {"sample": torch.randn((2, 3)[c], 1, 8, 8), "timestep": torch.randint(0, 1000, ((2, 3)[c],))})(Diffusion)


class Capsules(nn.Module):
    """Votes by matmul over [b, i, o, ...], squash, three rounds of routing by agreement, lengths as scores."""
    def __init__(self):
        super().__init__()
        self.conv, self.w = nn.Conv2d(1, 16, 5, 3), nn.Parameter(torch.randn(1, 36, 4, 6, 4))
    def squash(self, s):
        n = (s ** 2).sum(-1, keepdim=True)
        return n / (1 + n) * s / (torch.sqrt(n) + 1e-8)
    def forward(self, x):
        u = self.conv(x).view(x.size(0), 4, 4, -1).permute(0, 1, 3, 2).reshape(x.size(0), -1, 4)
        u = self.squash(u)
        votes = torch.matmul(self.w, u[:, :, None, :, None]).squeeze(-1)
        logits = torch.zeros(x.size(0), 36, 4, 1, dtype=x.dtype)
        for _ in range(3):
            c = F.softmax(logits, dim=2)
            v = self.squash((c * votes).sum(1, keepdim=True))
            logits = logits + (votes * v).sum(-1, keepdim=True)
        return v.squeeze(1).norm(dim=-1)


model("n-capsules", CLS, opset=17, inputs=images(1, (11, 11)))(Capsules)


class CoAtNet(nn.Module):
    """BoTNet relative logits (rel_to_abs by pad and reshape), involution by unfold, CBAM, stochastic depth in evaluation."""
    def __init__(self, d=8, n=4):
        super().__init__()
        self.n, self.d = n, d
        self.stem, self.qkv, self.rh, self.rw, self.kernel, self.spatial, self.head = nn.Conv2d(3, d, 4, 4), nn.Conv2d(d, 3 * d, 1, bias=False), nn.Parameter(torch.randn(2 * n - 1, d)), nn.Parameter(torch.randn(2 * n - 1, d)), nn.Conv2d(d, 9, 1), nn.Conv2d(2, 1, 3, padding=1), nn.Linear(d, 6)
    def absolute(self, x):
        b, l, _ = x.shape
        x = F.pad(x, (0, 1)).flatten(1)
        x = F.pad(x, (0, l - 1))
        return x.reshape(b, l + 1, 2 * l - 1)[:, :l, l - 1:]
    def relative(self, q, table):
        b, h, w, d = q.shape
        return self.absolute((q @ table.transpose(0, 1)).reshape(b * h, w, 2 * w - 1)).reshape(b, h, 1, w, w).expand(-1, -1, h, -1, -1)
    def forward(self, x):
        x = self.stem(x)
        b, d, h, w = x.shape
        q, k, v = self.qkv(x).split(d, dim=1)
        qq = q.permute(0, 2, 3, 1)
        logits = torch.einsum("bdp,bdr->bpr", q.flatten(2) * d ** -0.5, k.flatten(2))
        logits = logits + self.relative(qq, self.rw).permute(0, 1, 3, 2, 4).reshape(b, h * w, h * w) + self.relative(qq.transpose(1, 2), self.rh).permute(0, 3, 1, 4, 2).reshape(b, h * w, h * w)
        x = x + torch.einsum("bpr,bdr->bdp", logits.softmax(-1), v.flatten(2)).view_as(x)
        patches = F.unfold(x, 3, padding=1).view(b, d, 9, h, w)
        x = x + (patches * self.kernel(x).unsqueeze(1)).sum(dim=2)
        x = x * torch.sigmoid(self.spatial(torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)))
        return self.head(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


model("n-botnet", CLS, opset=17, inputs=images(size=(16, 16)))(CoAtNet)
model("n-botnet-unfolded", CLS, opset=14, fold=False, inputs=images(size=(16, 16)))(CoAtNet)


class Fold(nn.Module):
    """Patches through a linear layer and folded back with overlap; divided by how many cover each pixel."""
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(27, 20), nn.Linear(20, 27)
    def forward(self, x):
        p = F.unfold(x, kernel_size=3, stride=2, padding=1).transpose(1, 2)
        y = F.fold(self.b(F.mish(self.a(p))).transpose(1, 2), (9, 9), 3, stride=2, padding=1)
        n = F.fold(F.unfold(torch.ones_like(x), 3, stride=2, padding=1), (9, 9), 3, stride=2, padding=1)
        return y / n


model("n-fold", "mse", opset=18, inputs=images(3, (9, 9)))(Fold)


class Tokens2d(nn.Module):
    """ResNet-18's layout made small with torchvision classes left as they are: replace_stride_with_dilation, zero-init last gamma, frozen batch norm."""
    def __init__(self):
        super().__init__()
        from torchvision.ops import FrozenBatchNorm2d
        self.a, self.n, self.layer, self.head = nn.Conv2d(3, 8, 7, 2, 3, bias=False), FrozenBatchNorm2d(8), tv.resnet.BasicBlock(8, 8, norm_layer=FrozenBatchNorm2d), nn.Linear(8, 7)
    def forward(self, x): return self.head(torch.flatten(F.adaptive_avg_pool2d(self.layer(F.relu(self.n(self.a(x)))), (1, 1)), 1))


model("n-frozen-batch-norm", CLS, opset=17, inputs=images())(Tokens2d)
model("n-frozen-batch-norm-unfolded", CLS, opset=13, fold=False, inputs=images())(Tokens2d)
model("n-torchvision-regnet", CLS, opset=17, training="preserve", inputs=images())(lambda: tv.RegNet(tv.regnet.BlockParams([1, 1], [8, 16], [8, 8], [1.0, 1.0], [2, 2], 0.25), num_classes=7, stem_width=8))
model("n-torchvision-efficientnet-v2", CLS, opset=15, training="preserve", inputs=images())(lambda: tv.EfficientNet([tv.efficientnet.FusedMBConvConfig(2, 3, 2, 24, 8, 1), tv.efficientnet.MBConvConfig(4, 3, 2, 8, 16, 1)], 0.1, 0.0, num_classes=7, last_channel=24))
model("n-torchvision-mobilenet-v3", CLS, opset=18, inputs=images(), golden=fused)(lambda: tv.MobileNetV3([tv.mobilenetv3.InvertedResidualConfig(16, 3, 16, 16, True, "RE", 2, 1, 1.0), tv.mobilenetv3.InvertedResidualConfig(16, 5, 24, 16, True, "HS", 1, 2, 1.0)], 32, num_classes=7))
model("n-torchvision-googlenet-train", CLS, opset=17, fold=False, training="train", by_graph=True, inputs=images(batches=(4, 3)))(lambda: nn.Sequential(importlib.import_module("torchvision.models.googlenet").Inception(3, 4, 4, 6, 2, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(18, 5)))


class Video(nn.Module):
    """(2+1)D and plain 3-D convolutions, adaptive pooling in three dimensions, nearest and trilinear interpolation, transposed 3-D convolution, BatchNorm3d."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.n, self.t, self.head = nn.Conv3d(2, 6, (1, 3, 3), padding=(0, 1, 1)), nn.Conv3d(6, 6, (3, 1, 1), padding=(1, 0, 0)), nn.BatchNorm3d(6), nn.ConvTranspose3d(6, 4, 2, 2), nn.Linear(4 * 8, 5)
    def forward(self, x):
        x = F.elu(self.n(self.b(F.relu(self.a(x)))))
        x = F.avg_pool3d(x, (1, 2, 2)) + F.max_pool3d(x, (1, 2, 2))
        x = F.interpolate(x, scale_factor=(1, 2, 2), mode="trilinear", align_corners=False)
        return self.head(F.adaptive_avg_pool3d(F.hardtanh(self.t(x)), (2, 2, 2)).flatten(1))


model("n-video", CLS, opset=17, training="preserve", inputs=lambda c: {"clip": torch.randn((2, 3)[c], 2, 4, 8, 8)}, by_graph=True)(Video)
