import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  type RefObject,
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
  NODE_HEIGHT,
  NODE_WIDTH,
} from '@/components/stage-graph/layout'
import { type GraphNode } from '@/components/stage-graph/model'
import { directionOf, neighbour } from '@/components/stage-graph/navigate'
import {
  DETAIL_SCALE,
  type Frame,
  isEdgeIn,
  isNodeIn,
  reveal,
  type View,
  visibleBox,
  zoom,
} from '@/components/stage-graph/viewport'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'
import { appearance, isFailure, type Status, TONE_FILL, TONE_TEXT } from '@/lib/status'

export type SetView = (change: (view: View) => View) => void

type CanvasProps = {
  frame: Frame
  layout: Layout
  view: View
  setView: SetView
  nodes: GraphNode[]
  selected: string | null
  onSelect: (id: string) => void
}

/** The part of the drawing that the frame shows. */
export function Canvas({ frame, layout, view, setView, nodes, selected, onSelect }: CanvasProps) {
  const byId = useMemo(() => new Map(nodes.map((node) => [node.id, node])), [nodes])
  const [focused, setFocused] = useState<string | null>(null)
  const current =
    [focused, selected, nodes[0]?.id ?? null].find((id) => id !== null && byId.has(id)) ?? null
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
    setFocused(next)
    setView((before) => reveal(before, frame, node))
    // The button may only be drawn after the view has moved.
    requestAnimationFrame(() =>
      root.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus(),
    )
  }
  return (
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
            <Edges layout={layout} byId={byId} box={box} selected={selected} />
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
                reachable={place.id === current}
                onSelect={onSelect}
                onFocus={setFocused}
              />
            )
          )
        })}
      </div>
    </div>
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

/** Longer labels are set smaller. */
const LONG_LABEL = 15

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
      title={node.label.length > LONG_LABEL ? node.label : undefined}
      tabIndex={reachable ? 0 : -1}
      aria-pressed={node.members ? undefined : selected}
      aria-expanded={node.members ? false : undefined}
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
        className={cn(
          'w-full truncate font-semibold',
          node.label.length > LONG_LABEL ? 'text-[11px] tracking-[-0.01em]' : 'text-small',
          faded && 'text-muted-foreground',
        )}
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
  selected: string | null
}

const BLOCKING = new Set<Status>(['failed', 'timed_out', 'skipped', 'cancelled'])

/** More edges than can be followed by eye are drawn faintly, and only those of the selected box stand out. */
const MOST_EDGES = 120

function Edges({ layout, byId, box, selected }: EdgesProps) {
  const visible = layout.edges.filter((edge) => isEdgeIn(box, edge.points))
  const crowded = visible.length > MOST_EDGES
  const clear = crowded
    ? visible.filter(({ from, to }) => from === selected || to === selected)
    : visible
  return (
    <>
      {crowded && (
        <path
          d={visible.map(({ points }) => edgePath(points)).join('')}
          fill="none"
          stroke="var(--color-border)"
          strokeWidth={0.75}
        />
      )}
      {clear.map(({ from, to, points }) => {
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
      })}
    </>
  )
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

/** Only with Ctrl or ⌘ (as trackpads send a pinch): the wheel alone scrolls the page. */
function useZoomByWheel(root: RefObject<HTMLElement | null>, setView: SetView): void {
  const current = useRef(setView)
  useEffect(() => {
    current.current = setView
  })
  useEffect(() => {
    const element = root.current
    if (!element) return
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      const { left, top } = element.getBoundingClientRect()
      const at = { x: event.clientX - left, y: event.clientY - top }
      current.current((before) => zoom(before, Math.exp(-event.deltaY / 300), at))
    }
    // React listens passively, which cannot keep the browser from zooming the page.
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => element.removeEventListener('wheel', onWheel)
  }, [root])
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
      setView(() => ({ ...from.view, x: from.view.x + dx, y: from.view.y + dy }))
    },
    onPointerUp: () => {
      start.current = null
    },
    onPointerCancel: () => {
      start.current = null
    },
  }
}
