/**
 * A layered drawing of a DAG, left to right (Sugiyama's steps): layers by longest path, an order within the layers
 * with few crossings, then heights that keep edges straight. Pure, and linear enough for thousands of nodes.
 */

export type LayoutInput = { id: string; needs: readonly string[] }

export type Point = { x: number; y: number }
/** `x`, `y` is the top left corner; `layer` is the column it stands in. */
export type LayoutNode = Point & { id: string; layer: number }
/** `points` run from the right side of `from` to the left side of `to`, through the layers between them. */
export type LayoutEdge = { from: string; to: string; points: Point[] }
export type Layout = {
  nodes: Map<string, LayoutNode>
  edges: LayoutEdge[]
  width: number
  height: number
}

export const NODE_WIDTH = 124
export const NODE_HEIGHT = 50
const COLUMN_GAP = 24
const ROW_GAP = 20
/** Room an edge takes where it passes a layer. */
const BEND_HEIGHT = 12
/** A layer of more stages takes several columns: a line a thousand boxes high shows nobody anything. */
const TALLEST_COLUMN = 32
/** With more bends than this edges go straight: nobody could follow them, and each takes room and time. */
const MOST_BENDS = 1000
const ORDER_SWEEPS = 6
const HEIGHT_SWEEPS = 8

/** A node of the drawing, or the bend of an edge that passes a layer. */
type Cell = { id: string | null; height: number; before: number[]; after: number[] }

export function layoutGraph(input: readonly LayoutInput[]): Layout {
  const columns = columnsOf(input)
  const { cells, rows, chains } = toCells(input, columns)
  orderRows(cells, rows)
  const centers = placeRows(cells, rows)
  return toLayout(input, columns, chains, centers)
}

/** The longest way from a source. Needs outside of the input and cycles (an invalid draft) are ignored. */
export function layersOf(input: readonly LayoutInput[]): Map<string, number> {
  const byId = new Map(input.map((node) => [node.id, node]))
  const layers = new Map<string, number>()
  const open = new Set<string>()
  const visit = (node: LayoutInput): number => {
    const known = layers.get(node.id)
    if (known !== undefined) return known
    open.add(node.id)
    let layer = 0
    for (const need of node.needs) {
      const needed = byId.get(need)
      if (needed && !open.has(need)) layer = Math.max(layer, visit(needed) + 1)
    }
    open.delete(node.id)
    layers.set(node.id, layer)
    return layer
  }
  for (const node of input) visit(node)
  return layers
}

/** Layers, of which large ones are spread over several columns; what follows them moves on. */
function columnsOf(input: readonly LayoutInput[]): Map<string, number> {
  const members: string[][] = []
  for (const [id, layer] of layersOf(input)) {
    const row = members[layer] ?? []
    row.push(id)
    members[layer] = row
  }
  const columns = new Map<string, number>()
  let first = 0
  for (const row of members) {
    const count = Math.ceil(row.length / TALLEST_COLUMN)
    const height = Math.ceil(row.length / count)
    for (const [position, id] of row.entries()) {
      columns.set(id, first + Math.floor(position / height))
    }
    first += count
  }
  return columns
}

type Chain = { from: string; to: string; bends: number[] }

function toCells(input: readonly LayoutInput[], columns: Map<string, number>) {
  const cells: Cell[] = []
  const rows: number[][] = []
  const add = (id: string | null, column: number): number => {
    const cell = cells.push({
      id,
      height: id === null ? BEND_HEIGHT : NODE_HEIGHT,
      before: [],
      after: [],
    })
    const row = rows[column] ?? []
    row.push(cell - 1)
    rows[column] = row
    return cell - 1
  }
  const link = (from: number, to: number) => {
    cells[from]?.after.push(to)
    cells[to]?.before.push(from)
  }
  const cellOf = new Map(input.map((node) => [node.id, add(node.id, columns.get(node.id) ?? 0)]))
  const spans = forwardEdges(input, columns)
  const bending = spans.reduce((sum, { columnsBetween }) => sum + columnsBetween, 0) <= MOST_BENDS
  const chains = spans.map(({ from, to, columnsBetween }): Chain => {
    const bends = Array.from({ length: bending ? columnsBetween : 0 }, (_, step) =>
      add(null, (columns.get(from) ?? 0) + 1 + step),
    )
    const stops = [cellOf.get(from) ?? 0, ...bends, cellOf.get(to) ?? 0]
    for (const [step, stop] of stops.slice(1).entries()) link(stops[step] ?? 0, stop)
    return { from, to, bends }
  })
  return { cells, rows, chains }
}

/** Every need that lies to the left, with how many columns lie between. Others are of an invalid draft. */
function forwardEdges(input: readonly LayoutInput[], columns: Map<string, number>) {
  return input.flatMap(({ id, needs }) =>
    needs.flatMap((need) => {
      const columnsBetween = (columns.get(id) ?? 0) - (columns.get(need) ?? Infinity) - 1
      return columnsBetween >= 0 ? [{ from: need, to: id, columnsBetween }] : []
    }),
  )
}

/** Sweep forth and back, sorting each layer by the mean place of its neighbours; the best order seen wins. */
function orderRows(cells: Cell[], rows: number[][]): void {
  const place = cells.map(() => 0)
  const index = () => {
    for (const row of rows) {
      for (const [position, cell] of row.entries()) place[cell] = position
    }
  }
  index()
  let best = rows.map((row) => [...row])
  let fewest = crossings(cells, rows, place)
  for (let sweep = 0; sweep < ORDER_SWEEPS && fewest > 0; sweep += 1) {
    const forward = sweep % 2 === 0
    const order = forward ? rows.keys() : [...rows.keys()].toReversed()
    for (const layer of order) {
      const row = rows[layer] ?? []
      const mean = new Map(
        row.map((cell, position) => {
          const neighbours = (forward ? cells[cell]?.before : cells[cell]?.after) ?? []
          const sum = neighbours.reduce((total, neighbour) => total + (place[neighbour] ?? 0), 0)
          return [cell, neighbours.length > 0 ? sum / neighbours.length : position]
        }),
      )
      row.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0))
      for (const [position, cell] of row.entries()) place[cell] = position
    }
    const count = crossings(cells, rows, place)
    if (count < fewest) {
      fewest = count
      best = rows.map((row) => [...row])
    }
  }
  for (const [layer, row] of best.entries()) rows[layer] = row
}

/** Crossings between neighbouring layers: inversions among the edges' ends, counted with a binary indexed tree. */
function crossings(cells: Cell[], rows: number[][], place: number[]): number {
  let total = 0
  for (const [layer, row] of rows.entries()) {
    const width = rows[layer + 1]?.length ?? 0
    const tree = Array.from({ length: width + 1 }, () => 0)
    let seen = 0
    for (const cell of row) {
      const ends = (cells[cell]?.after ?? []).map((next) => place[next] ?? 0)
      for (const end of ends) {
        let notAfter = 0
        for (let i = end + 1; i > 0; i -= i & -i) notAfter += tree[i] ?? 0
        total += seen - notAfter
      }
      for (const end of ends) {
        for (let i = end + 1; i <= width; i += i & -i) tree[i] = (tree[i] ?? 0) + 1
      }
      seen += ends.length
    }
  }
  return total
}

/** The middle height of each cell: as near to its neighbours' as the order and the gaps allow. */
function placeRows(cells: Cell[], rows: number[][]): number[] {
  const centers = cells.map(() => 0)
  for (const row of rows) {
    const wanted = row.map(() => 0)
    for (const [position, center] of spread(cells, row, wanted).entries()) {
      centers[row[position] ?? 0] = center
    }
  }
  for (let sweep = 0; sweep < HEIGHT_SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0
    const order = forward ? rows.keys() : [...rows.keys()].toReversed()
    for (const layer of order) {
      const row = rows[layer] ?? []
      const wanted = row.map((cell) => {
        const near = (forward ? cells[cell]?.before : cells[cell]?.after) ?? []
        if (near.length === 0) return centers[cell] ?? 0
        return near.reduce((sum, neighbour) => sum + (centers[neighbour] ?? 0), 0) / near.length
      })
      for (const [position, center] of spread(cells, row, wanted).entries()) {
        centers[row[position] ?? 0] = center
      }
    }
  }
  return centers
}

/**
 * The heights nearest to the wanted ones (least squares) that keep the order and the gaps. Taking the gaps out leaves
 * an isotonic regression, which pooling adjacent violators solves exactly.
 */
function spread(cells: Cell[], row: number[], wanted: number[]): number[] {
  const offsets: number[] = []
  let offset = 0
  for (const [position, cell] of row.entries()) {
    const above = cells[row[position - 1] ?? -1]
    if (above) offset += (above.height + (cells[cell]?.height ?? 0)) / 2 + ROW_GAP
    offsets.push(offset)
  }
  const pools: { sum: number; count: number }[] = []
  for (const [position, want] of wanted.entries()) {
    let pool = { sum: want - (offsets[position] ?? 0), count: 1 }
    for (let above = pools.at(-1); above && above.sum / above.count > pool.sum / pool.count; ) {
      pool = { sum: above.sum + pool.sum, count: above.count + pool.count }
      pools.pop()
      above = pools.at(-1)
    }
    pools.push(pool)
  }
  return pools
    .flatMap(({ sum, count }) => Array.from({ length: count }, () => sum / count))
    .map((value, position) => value + (offsets[position] ?? 0))
}

function toLayout(
  input: readonly LayoutInput[],
  columns: Map<string, number>,
  chains: Chain[],
  centers: number[],
): Layout {
  const top = Math.min(0, ...input.map((_, cell) => (centers[cell] ?? 0) - NODE_HEIGHT / 2))
  const middle = (cell: number) => (centers[cell] ?? 0) - top
  const left = (layer: number) => layer * (NODE_WIDTH + COLUMN_GAP)

  const nodes = new Map<string, LayoutNode>()
  for (const [cell, { id }] of input.entries()) {
    const layer = columns.get(id) ?? 0
    nodes.set(id, { id, layer, x: left(layer), y: middle(cell) - NODE_HEIGHT / 2 })
  }
  const edges = chains.map(({ from, to, bends }) => {
    const start = nodes.get(from)
    const end = nodes.get(to)
    const points: Point[] = []
    if (start) points.push({ x: start.x + NODE_WIDTH, y: start.y + NODE_HEIGHT / 2 })
    for (const [step, bend] of bends.entries()) {
      const x = left((start?.layer ?? 0) + 1 + step)
      points.push({ x, y: middle(bend) }, { x: x + NODE_WIDTH, y: middle(bend) })
    }
    if (end) points.push({ x: end.x, y: end.y + NODE_HEIGHT / 2 })
    return { from, to, points }
  })
  let width = 0
  let height = 0
  for (const node of nodes.values()) {
    width = Math.max(width, node.x + NODE_WIDTH)
    height = Math.max(height, node.y + NODE_HEIGHT)
  }
  return { nodes, edges, width, height }
}

/** An SVG path through the points, leaving and entering horizontally. */
export function edgePath(points: readonly Point[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  let path = `M${first.x} ${first.y}`
  let last = first
  for (const point of rest) {
    const bow = Math.min(20, (point.x - last.x) / 2)
    path +=
      last.y === point.y
        ? `H${point.x}`
        : `C${last.x + bow} ${last.y} ${point.x - bow} ${point.y} ${point.x} ${point.y}`
    last = point
  }
  return path
}
