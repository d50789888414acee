function witness(kit, results)
% Answer a conformance kit in GNU Octave or MATLAB: correlate, pool, substitute, unpool, decode and
% respond, in plain loops, written from the kit's README.md and SPECIFICATION.md.
%
%   fdref kit KIT --format h5
%   octave-cli --path tests/witnesses --eval "witness('KIT', 'RESULTS')"
%   fdref check KIT RESULTS
%
% All maps here are H x W x C x N, filters kh x kw x C/groups x K, as in MatConvNet. The
% specification counts from 0, Octave from 1.

if ~exist(results, 'dir')
  mkdir(results);
end
manifest = jsondecode(fileread(fullfile(kit, 'manifest.json')));
known = struct('correlate', @correlate_case, 'pool', @pool_case, 'substitute', @substitute_case, ...
               'unpool', @unpool_case, 'decode', @decode_case, 'respond', @respond_case);
for number = 1:numel(manifest.cases)
  entry = item(manifest.cases, number);
  if ~isfield(known, entry.operation)
    continue
  end
  inputs = read_arrays(fullfile(kit, 'cases', [entry.id '.h5']), entry.inputs);
  compute = known.(entry.operation);
  if ~is_attempted(entry.parameters)
    continue
  end
  if entry.refused
    outputs.refused = 1;
    try
      compute(inputs, entry.parameters, kit);
      outputs.refused = 0;
    catch problem
      check_is_ours(problem);
    end
  else
    found = compute(inputs, entry.parameters, kit);
    outputs = cell2struct(found(:), {entry.outputs.name}', 1);
  end
  save(fullfile(results, [entry.id '.mat']), '-struct', 'outputs', '-v7');
  clear outputs
end
end

function known = is_attempted(parameters)
% Networks that are chains, of whose units all see the same.
known = ~isfield(parameters, 'position') && ~isfield(parameters, 'input_size');
if ~known || ~isfield(parameters, 'network') || isfield(parameters.network, 'file')
  return
end
for l = 1:numel(parameters.network)
  layer = item(parameters.network, l);
  of_a_chain = any(strcmp(layer.type, {'conv', 'pool', 'relu', 'normalize', 'bnorm', 'softmax'}));
  known = known && of_a_chain && ~isfield(layer, 'inputs');
end
end

% ---- Section 2: the forward pass

function found = correlate_case(inputs, p, kit)
bias = [];
if isfield(inputs, 'bias')
  bias = inputs.bias;
end
demand(min(p.pad) >= 0, 'a pad is at least 0');
found = {correlate(inputs.images, inputs.filters, bias, p.stride, p.pad, p.dilate, p.groups)};
end

function response = correlate(images, filters, bias, stride, pad, dilate, groups)
[kh, kw, channels, count] = size(filters);
demand(mod(count, groups) == 0, 'the filters do not fall into groups');
demand(size(images, 3) == channels * groups, 'the channels do not fit');
demand(isempty(bias) || numel(bias) == count, 'the biases do not fit');
padded = with_border(images, pad, 0);
spanned = ([kh kw] - 1) .* dilate(:)' + 1;
[height, width] = places(size(padded), spanned, stride);
response = zeros(height, width, count, size(images, 4));
for n = 1:size(images, 4)
  for k = 1:count
    first = channels * floor((k - 1) / (count / groups));
    for y = 1:height
      for x = 1:width
        rows = (y - 1) * stride(1) + (0:kh-1) * dilate(1) + 1;
        columns = (x - 1) * stride(2) + (0:kw-1) * dilate(2) + 1;
        seen = padded(rows, columns, first + (1:channels), n);
        response(y, x, k, n) = sum(reshape(seen .* filters(:, :, :, k), [], 1));
      end
    end
    if ~isempty(bias)
      response(:, :, k, n) = response(:, :, k, n) + bias(k);
    end
  end
end
end

function found = pool_case(inputs, p, kit)
images = inputs.images;
demand(any(strcmp(p.method, {'max', 'avg'})), 'no such method');
demand(max(p.pad(1:2)) < p.window(1) && max(p.pad(3:4)) < p.window(2), ...
       'a window may see nothing but padding');
demand(min(p.pad) >= 0, 'a pad is at least 0');
padded = with_border(images, p.pad, 0);
on_map = with_border(true(size(images, 1), size(images, 2)), p.pad, false) > 0;
[height, width] = places(size(padded), p.window, p.stride);
pooled = zeros(height, width, size(images, 3), size(images, 4));
for y = 1:height
  for x = 1:width
    rows = (y - 1) * p.stride(1) + (1:p.window(1));
    columns = (x - 1) * p.stride(2) + (1:p.window(2));
    rows = rows(any(on_map(rows, columns), 2));          % the window is clipped to the map
    columns = columns(any(on_map(rows, columns), 1));
    for c = 1:size(images, 3)
      for n = 1:size(images, 4)
        seen = padded(rows, columns, c, n);
        if any(isnan(seen(:)))                           % max would leave it out
          pooled(y, x, c, n) = NaN;
        elseif strcmp(p.method, 'max')
          pooled(y, x, c, n) = max(seen(:));
        else
          pooled(y, x, c, n) = sum(seen(:)) / numel(seen);
        end
      end
    end
  end
end
found = {pooled};
end

% ---- Sections 3 and 4: decoding

function found = substitute_case(inputs, p, kit)
found = {substitute(inputs.maps, inputs.filters, p.stride, p.dilate, p.groups)};
end

function pictures = substitute(maps, filters, stride, dilate, groups)
[height, width, depth, number] = size(maps);
[kh, kw, channels, count] = size(filters);
demand(depth == count, 'as many channels as filters are expected');
demand(mod(count, groups) == 0, 'the filters do not fall into groups');
demand(all(stride > 0), 'a stride of 0');
full = ([height width] - 1) .* stride(:)' + ([kh kw] - 1) .* dilate(:)' + 1;
pictures = zeros(full(1), full(2), channels * groups, number);
for n = 1:number
  for j = 1:depth
    above = channels * floor((j - 1) / (count / groups)) + (1:channels);
    for y = 1:height
      for x = 1:width
        rows = (y - 1) * stride(1) + (0:kh-1) * dilate(1) + 1;
        columns = (x - 1) * stride(2) + (0:kw-1) * dilate(2) + 1;
        pictures(rows, columns, above, n) = pictures(rows, columns, above, n) ...
          + maps(y, x, j, n) * filters(:, :, :, j);
      end
    end
  end
end
end

function found = decode_case(inputs, p, kit)
layers = network(inputs, p.network, kit);
demand(p.layer >= 1 && p.layer <= numel(layers), 'there is no such layer');
top = layers{p.layer};
demand(isfield(top, 'filters'), 'the layer has no filters');
chosen = p.filters(:)' + 1;
demand(all(chosen >= 1 & chosen <= size(top.filters, 4)), 'there is no such filter');
% A filter is what one pixel of 1 is substituted by.
ones_at = zeros(1, 1, size(top.filters, 4), numel(chosen));
for n = 1:numel(chosen)
  ones_at(1, 1, chosen(n), n) = 1;
end
found = {substitute(ones_at, top.filters, [1 1], top.dilate, top.groups)};
for l = p.layer-1:-1:1
  below = layers{l};
  picture = found{end};
  switch below.type
    case 'conv'
      picture = substitute(picture, below.filters, below.stride, below.dilate, below.groups);
    case 'pool'
      picture = unpool(picture, below.stride, below.window, p.unpool);
    case 'bnorm'
      for c = 1:size(picture, 3)
        scale = below.gain(c) / below.moments(2, c);     % its axes are reversed, 2 x C
        picture(:, :, c, :) = picture(:, :, c, :) * scale;
      end
  end
  found{end+1} = picture; %#ok<AGROW>
end
if isfield(p, 'stages')                                  % these alone are asked for
  found = found(p.stages);
end
end

function found = unpool_case(inputs, p, kit)
found = {unpool(inputs.maps, p.stride, p.window, p.method)};
end

function pictures = unpool(maps, stride, window, method)
demand(all(stride > 0) && all(window > 0), 'a stride or a window of 0');
if strcmp(method, 'window')
  pictures = share(maps, stride, window);
  return
end
pictures = unpool_rows(maps, stride(1), window(1), method);
turned = unpool_rows(permute(pictures, [2 1 3 4]), stride(2), window(2), method);
pictures = permute(turned, [2 1 3 4]);
end

function pictures = unpool_rows(maps, stride, window, method)
[height, width, depth, number] = size(maps);
large = zeros(height * stride, width, depth, number);
for o = 0:height*stride-1
  u = (o + 1/2) / stride - 1/2;
  for i = floor(u)-1:floor(u)+2
    weight = kernel(u, i, floor(o / stride), method);
    if weight ~= 0
      at = mod(i, 2 * height);                           % mirrored: -1 is 0, height is height-1
      if at >= height
        at = 2 * height - 1 - at;
      end
      large(o+1, :, :, :) = large(o+1, :, :, :) + weight * maps(at+1, :, :, :);
    end
  end
end
extra = window - stride;
if extra >= 0
  before = floor(extra / 2);
  pictures = zeros(size(large, 1) + extra, width, depth, number);
  pictures(before + (1:size(large, 1)), :, :, :) = large;
else
  before = floor(-extra / 2);
  pictures = large(before + (1:size(large, 1) + extra), :, :, :);
end
end

function pictures = share(maps, stride, window)
% Every pixel is shared equally over its window's pixels, and where windows overlap the shares add.
[height, width, depth, number] = size(maps);
pictures = zeros((height - 1) * stride(1) + window(1), (width - 1) * stride(2) + window(2), ...
                 depth, number);
for y = 1:height
  for x = 1:width
    each = maps(y, x, :, :) / prod(window);
    rows = (y - 1) * stride(1) + (1:window(1));
    columns = (x - 1) * stride(2) + (1:window(2));
    pictures(rows, columns, :, :) = pictures(rows, columns, :, :) ...
      + repmat(each, [window(1) window(2) 1 1]);
  end
end
end

function weight = kernel(u, i, nearest, method)
t = abs(u - i);
switch method
  case 'nearest'
    weight = double(i == nearest);
  case 'bilinear'
    weight = max(1 - t, 0);
  case 'bicubic'
    if t <= 1
      weight = 1.5 * t^3 - 2.5 * t^2 + 1;
    elseif t <= 2
      weight = -0.5 * t^3 + 2.5 * t^2 - 4 * t + 2;
    else
      weight = 0;
    end
  otherwise
    demand(false, 'no such method');
end
end

% ---- Section 5: what a decoded filter answers

function found = respond_case(inputs, p, kit)
[height, width, ~, ~] = size(inputs.images);
[kh, kw, ~, ~] = size(inputs.bank);
last = p.offset + p.stride .* (p.output - 1) + [kh; kw];
pad = [-p.offset(1), last(1) - height, -p.offset(2), last(2) - width];
found = {correlate(inputs.images, inputs.bank, [], p.stride, pad, [1 1], 1)};
end

% ---- What all share

function padded = with_border(maps, pad, value)
% Pad by [top bottom left right], or crop where that is negative.
[height, width, depth, number] = size(maps);
padded = value * ones(height + pad(1) + pad(2), width + pad(3) + pad(4), depth, number);
rows = max(1, 1 - pad(1)):min(height, height + pad(2));
columns = max(1, 1 - pad(3)):min(width, width + pad(4));
padded(rows + pad(1), columns + pad(3), :, :) = maps(rows, columns, :, :);
end

function [height, width] = places(map, window, stride)
demand(all(stride > 0) && all(window > 0), 'a stride or a window of 0');
height = floor((map(1) - window(1)) / stride(1)) + 1;
width = floor((map(2) - window(2)) / stride(2)) + 1;
demand(height > 0 && width > 0, 'the window is larger than the map');
end

function demand(fits, message)
if ~fits
  error('witness:refused', message);
end
end

function check_is_ours(problem)
% Any other error is a bug here, not a refusal.
if ~strcmp(problem.identifier, 'witness:refused')
  rethrow(problem);
end
end

% ---- Files

function layers = network(inputs, described, kit)
% Return the layers as a cell array, with the arrays in place of their names.
if isfield(described, 'file')
  layers = matconvnet_layers(fullfile(kit, [described.file '.mat']));
  return
end
layers = cell(1, numel(described));
for l = 1:numel(described)
  layers{l} = item(described, l);
  for field = {'filters', 'gain', 'moments'}
    if isfield(layers{l}, field{1}) && ischar(layers{l}.(field{1}))
      layers{l}.(field{1}) = inputs.(layers{l}.(field{1}));
    end
  end
end
end

function one = item(list, number)
% jsondecode gives a cell array where the objects have different fields.
if iscell(list)
  one = list{number};
else
  one = list(number);
end
end

function arrays = read_arrays(path, inputs)
% Return the datasets of an HDF5 file as double; maps and filters in MatConvNet's order of axes.
arrays = struct();
for number = 1:numel(inputs)
  name = inputs(number).name;
  if exist('OCTAVE_VERSION', 'builtin')
    contents = load('-hdf5', path, name);                % it has no h5read
    array = contents.(name);
  else
    array = double(h5read(path, ['/' name]));
  end
  if numel(inputs(number).shape) == 4
    array = permute(array, [2 1 3 4]);
  end
  arrays.(name) = array;
end
end

function layers = matconvnet_layers(path)
% Return the layers of lenet.mat. MATLAB reads it; Octave (7) reads all but its references, which
% say where in /#refs# the layers lie. There the objects have numbers in the order in which they
% were written, a layer before its weights: that tells as much.
layers = {};
if exist('OCTAVE_VERSION', 'builtin')
  quiet = warning('off', 'all');
  contents = load('-hdf5', path);
  warning(quiet);
  objects = contents.('__refs_');
  number = 1;
  while isfield(objects, sprintf('_%d', number))
    object = objects.(sprintf('_%d', number));
    if isstruct(object) && isfield(object, 'type')
      object.weights = {};
      layers{end+1} = object; %#ok<AGROW>
    elseif ~isempty(layers) && isfloat(object)
      layers{end}.weights{end+1} = object;
    end
    number = number + 1;
  end
else
  contents = load(path);
  layers = contents.net.layers;
end
for l = 1:numel(layers)
  layers{l}.type = char(layers{l}.type);
  switch layers{l}.type
    case 'conv'
      layers{l}.filters = double(layers{l}.weights{1});
      layers{l}.groups = 1;
    case 'pool'
      layers{l}.window = layers{l}.pool;
  end
end
end
