import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
import { Icon } from '@/components/icon'
import {
  edgePath,
  type Layout,
  type LayoutNode,
  layoutGraph,
  NODE_HEIGHT,
  NODE_WIDTH,
} from '@/components/stage-graph/layout'
import { GROUP_ABOVE, type GraphNode, groupNodes } from '@/components/stage-graph/model'
import { directionOf, neighbour } from '@/components/stage-graph/navigate'
import {
  DETAIL_SCALE,
  type Frame,
  fit,
  frameHeight,
  initialView,
  isEdgeIn,
  isNodeIn,
  reveal,
  type View,
  visibleBox,
  zoom,
} from '@/components/stage-graph/viewport'
import { Button } from '@/components/ui/button'
import { useElementSize } from '@/hooks/use-element-size'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'
import { appearance, isFailure, type Status, TONE_FILL, TONE_TEXT } from '@/lib/status'

type StageGraphProps = {
  nodes: GraphNode[]
  selected: string | null
  onSelect: (id: string) => void
  /** In pixels; the frame is as high as the drawing needs, but not higher. */
  maxHeight?: number
}

const ZOOM_STEP = 1.25
const SMALLEST_FRAME = 120

/** Stages and what they need, left to right. Drag to move, Ctrl + wheel or the buttons to zoom, arrows to walk. */
export function StageGraph({ nodes, selected, onSelect, maxHeight = 400 }: StageGraphProps) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const grouped = nodes.length > GROUP_ABOVE
  const shown = useMemo(
    () => (grouped ? groupNodes(nodes, opened) : nodes),
    [grouped, nodes, opened],
  )
  const layout = useStableLayout(shown)
  const [measure, size] = useElementSize()
  const frame = size && {
    width: size.width,
    height: frameHeight(layout, size.width, { min: SMALLEST_FRAME, max: maxHeight }),
  }

  const select = (id: string) => {
    if (id.startsWith('group:')) setOpened(new Set([...opened, id]))
    else onSelect(id)
  }
  return (
    <div ref={measure} className="relative" style={{ height: frame?.height ?? SMALLEST_FRAME }}>
      {frame && (
        <Canvas
          // A new drawing starts with a view of its own.
          key={`${layout.width}x${layout.height}x${shown.length}`}
          frame={frame}
          layout={layout}
          nodes={shown}
          selected={
            shown.find((node) => node.id === selected || node.members?.includes(selected ?? ''))
              ?.id ?? null
          }
          onSelect={select}
          tools={
            opened.size > 0 && (
              <Button size="small" onClick={() => setOpened(new Set())}>
                Group again
              </Button>
            )
          }
        />
      )}
    </div>
  )
}

/** Live events change states and captions many times a second; the drawing only depends on ids and needs. */
function useStableLayout(nodes: GraphNode[]): Layout {
  const shape = nodes.map((node) => `${node.id}<${node.needs.join()}`).join(';')
  const [drawn, setDrawn] = useState(() => ({ shape, layout: layoutGraph(nodes) }))
  if (drawn.shape === shape) return drawn.layout
  const layout = layoutGraph(nodes)
  setDrawn({ shape, layout })
  return layout
}

type CanvasProps = {
  frame: Frame
  layout: Layout
  nodes: GraphNode[]
  selected: string | null
  onSelect: (id: string) => void
  tools: React.ReactNode
}

function Canvas({ frame, layout, nodes, selected, onSelect, tools }: CanvasProps) {
  const byId = useMemo(() => new Map(nodes.map((node) => [node.id, node])), [nodes])
  const [view, setView] = useState<View>(() => {
    const focus = selected ?? nodes.find((node) => node.status && isFailure(node.status))?.id
    return initialView(layout, frame, focus ? layout.nodes.get(focus) : undefined)
  })
  const [current, setCurrent] = useState(selected ?? nodes[0]?.id ?? null)
  const root = useRef<HTMLDivElement>(null)
  useZoomByWheel(root, setView)
  const drag = useDrag(view, setView)

  const box = visibleBox(view, frame)
  const detailed = view.scale >= DETAIL_SCALE
  const visible = detailed ? [...layout.nodes.values()].filter((node) => isNodeIn(box, node)) : []

  const walk = (event: KeyboardEvent) => {
    const direction = directionOf(event.key)
    const next = direction && current && neighbour(layout, current, direction)
    const node = next && layout.nodes.get(next)
    if (!direction) return
    event.preventDefault()
    if (!node) return
    setCurrent(next)
    setView((before) => reveal(before, frame, node))
    // The button may only be drawn after the view has moved.
    requestAnimationFrame(() =>
      root.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus(),
    )
  }
  const zoomBy = (factor: number) =>
    setView((before) => zoom(before, factor, { x: frame.width / 2, y: frame.height / 2 }))

  return (
    <>
      <div
        ref={root}
        role="group"
        aria-label={`Graph of ${plural(nodes.length, 'box', 'boxes')}. Arrow keys walk along the edges.`}
        className="absolute inset-0 touch-pan-y cursor-grab overflow-hidden active:cursor-grabbing"
        onKeyDown={walk}
        {...drag}
      >
        <div
          className="absolute top-0 left-0 origin-top-left will-change-transform"
          style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }}
        >
          <svg
            aria-hidden="true"
            width={layout.width}
            height={layout.height}
            className="pointer-events-none absolute overflow-visible"
          >
            {detailed ? (
              <Edges layout={layout} byId={byId} box={box} />
            ) : (
              <Overview layout={layout} byId={byId} />
            )}
          </svg>
          {visible.map((place) => {
            const node = byId.get(place.id)
            return (
              node && (
                <NodeBox
                  key={place.id}
                  node={node}
                  place={place}
                  selected={place.id === selected}
                  reachable={place.id === current || (current !== null && !byId.has(current))}
                  onSelect={onSelect}
                  onFocus={setCurrent}
                />
              )
            )
          })}
        </div>
      </div>
      <div className="absolute right-2 bottom-2 flex gap-1">
        {tools}
        <Button
          size="icon"
          className="size-7"
          aria-label="Zoom out"
          onClick={() => zoomBy(1 / ZOOM_STEP)}
        >
          <Icon name="minus" className="size-3.5" />
        </Button>
        <Button
          size="icon"
          className="size-7"
          aria-label="Zoom in"
          onClick={() => zoomBy(ZOOM_STEP)}
        >
          <Icon name="plus" className="size-3.5" />
        </Button>
        <Button
          size="icon"
          className="size-7"
          aria-label="Show all"
          onClick={() => setView(fit(layout, frame))}
        >
          <Icon name="fit" className="size-3.5" />
        </Button>
      </div>
    </>
  )
}

type NodeBoxProps = {
  node: GraphNode
  place: LayoutNode
  selected: boolean
  /** One box takes part in the page's tab order; arrows reach the others. */
  reachable: boolean
  onSelect: (id: string) => void
  onFocus: (id: string) => void
}

const NodeBox = memo(function NodeBox({
  node,
  place,
  selected,
  reachable,
  onSelect,
  onFocus,
}: NodeBoxProps) {
  const state = node.status && appearance(node.status)
  const faded = node.status === 'skipped' || node.status === 'pending'
  return (
    <button
      type="button"
      data-node={node.id}
      tabIndex={reachable ? 0 : -1}
      aria-pressed={node.members ? undefined : selected}
      aria-expanded={node.members ? false : undefined}
      aria-label={[node.label, state?.word, node.caption].filter(Boolean).join(', ')}
      onClick={() => onSelect(node.id)}
      onFocus={() => onFocus(node.id)}
      style={{ left: place.x, top: place.y, width: NODE_WIDTH, height: NODE_HEIGHT }}
      className={cn(
        'absolute flex cursor-pointer flex-col justify-center gap-px rounded-md border bg-card px-2.5 text-left',
        node.members && 'shadow-[3px_3px_0_-1px_var(--color-card),3px_3px_0_0_var(--color-border)]',
        faded ? 'border-dashed border-border bg-muted' : 'border-border',
        node.status && isFailure(node.status) && 'border-2 border-state-failed px-[9px]',
        selected && 'outline-2 outline-offset-[3px] outline-ring',
      )}
    >
      <span
        className={cn('w-full truncate text-tiny font-semibold', faded && 'text-muted-foreground')}
      >
        {node.label}
      </span>
      <span className="flex w-full items-center gap-1.5 text-[11px] text-muted-foreground">
        {state && (
          <Icon
            name={state.icon}
            className={cn(
              'size-3 stroke-[2.4]',
              TONE_TEXT[state.tone],
              node.status === 'running' && 'spin-running',
            )}
          />
        )}
        <span
          className={cn('truncate', node.status && isFailure(node.status) && 'text-state-failed')}
        >
          {node.caption}
        </span>
      </span>
    </button>
  )
})

type EdgesProps = {
  layout: Layout
  byId: Map<string, GraphNode>
  box: ReturnType<typeof visibleBox>
}

const BLOCKING = new Set<Status>(['failed', 'timed_out', 'skipped', 'cancelled'])

function Edges({ layout, byId, box }: EdgesProps) {
  return layout.edges
    .filter((edge) => isEdgeIn(box, edge.points))
    .map(({ from, to, points }) => {
      const status = byId.get(from)?.status
      const dead = status && BLOCKING.has(status)
      return (
        <path
          key={`${from}>${to}`}
          d={edgePath(points)}
          fill="none"
          stroke={dead ? 'var(--color-border)' : 'var(--color-muted-foreground)'}
          strokeWidth={1.5}
          strokeDasharray={dead ? '4 4' : undefined}
        />
      )
    })
}

/** Far away: one path for all edges and one per state, however many stages there are. */
function Overview({ layout, byId }: { layout: Layout; byId: Map<string, GraphNode> }) {
  const edges = useMemo(() => layout.edges.map((edge) => edgePath(edge.points)).join(''), [layout])
  const boxes = new Map<string, string>()
  for (const { id, x, y } of layout.nodes.values()) {
    const status = byId.get(id)?.status
    const fill = status ? TONE_FILL[appearance(status).tone] : 'var(--color-muted-foreground)'
    boxes.set(
      fill,
      `${boxes.get(fill) ?? ''}M${x} ${y}h${NODE_WIDTH}v${NODE_HEIGHT}h${-NODE_WIDTH}z`,
    )
  }
  return (
    <>
      <path d={edges} fill="none" stroke="var(--color-border)" strokeWidth={2} />
      {[...boxes].map(([fill, path]) => (
        <path key={fill} d={path} fill={fill} />
      ))}
    </>
  )
}

type SetView = React.Dispatch<React.SetStateAction<View>>

/** Only with Ctrl or ⌘ (as trackpads send a pinch): the wheel alone scrolls the page. */
function useZoomByWheel(root: React.RefObject<HTMLElement | null>, setView: SetView): void {
  useEffect(() => {
    const element = root.current
    if (!element) return
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      const { left, top } = element.getBoundingClientRect()
      const at = { x: event.clientX - left, y: event.clientY - top }
      setView((before) => zoom(before, Math.exp(-event.deltaY / 300), at))
    }
    // React listens passively, which cannot keep the browser from zooming the page.
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => element.removeEventListener('wheel', onWheel)
  }, [root, setView])
}

const CLICK_TOLERANCE = 4

function useDrag(view: View, setView: SetView) {
  const start = useRef<{ x: number; y: number; view: View; moved: boolean } | null>(null)
  return {
    onPointerDown: (event: PointerEvent) => {
      if (event.button === 0)
        start.current = { x: event.clientX, y: event.clientY, view, moved: false }
    },
    onPointerMove: (event: PointerEvent) => {
      const from = start.current
      if (!from) return
      const dx = event.clientX - from.x
      const dy = event.clientY - from.y
      if (!from.moved && Math.hypot(dx, dy) < CLICK_TOLERANCE) return
      if (!from.moved) event.currentTarget.setPointerCapture(event.pointerId)
      from.moved = true
      setView({ ...from.view, x: from.view.x + dx, y: from.view.y + dy })
    },
    onPointerUp: () => {
      start.current = null
    },
    onPointerCancel: () => {
      start.current = null
    },
  }
}
