import { type ReactNode, useMemo, useState } from 'react'
import { Icon, type IconName } from '@/components/icon'
import { Canvas, type SetView } from '@/components/stage-graph/canvas'
import { type Layout, layoutGraph } from '@/components/stage-graph/layout'
import {
  GROUP_ABOVE,
  GROUP_PREFIX,
  type GraphNode,
  groupNodes,
} from '@/components/stage-graph/model'
import {
  type Frame,
  fit,
  frameHeight,
  initialView,
  type View,
  zoom,
} from '@/components/stage-graph/viewport'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { useElementSize } from '@/hooks/use-element-size'
import { isFailure } from '@/lib/status'

type StageGraphProps = {
  nodes: GraphNode[]
  /** Left out where nothing can be chosen. */
  selected?: string | null
  onSelect?: (id: string) => void
  /** In pixels; the frame is as high as the drawing needs, but not higher. */
  maxHeight?: number
  /** Beside the zoom buttons. */
  tools?: ReactNode
  /** Only the header, with `tools` to open it. */
  folded?: boolean
}

const ZOOM_STEP = 1.25
const SMALLEST_FRAME = 120

/** Stages and what they need, left to right. Drag to move, Ctrl + wheel or the buttons to zoom, arrows to walk. */
export function StageGraph({
  nodes,
  selected = null,
  onSelect,
  maxHeight = 400,
  tools,
  folded = false,
}: StageGraphProps) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const grouped = nodes.length > GROUP_ABOVE
  const shown = useMemo(
    () => (grouped ? groupNodes(nodes, opened) : nodes),
    [grouped, nodes, opened],
  )
  const chosen = shown.find(
    (node) => node.id === selected || node.members?.includes(selected ?? ''),
  )
  const layout = useStableLayout(shown)
  const [measure, size] = useElementSize()
  const frame = {
    width: size?.width ?? 0,
    height: frameHeight(layout, size?.width ?? 0, { min: SMALLEST_FRAME, max: maxHeight }),
  }
  const failed = shown.find((node) => node.status && isFailure(node.status))
  const [view, setView] = useView(layout, frame, chosen?.id ?? failed?.id)
  const zoomBy = (factor: number) =>
    setView((before) => zoom(before, factor, { x: frame.width / 2, y: frame.height / 2 }))

  return (
    <Card aria-label="Graph">
      <CardHeader
        title="Graph"
        className={folded ? 'border-b-0' : ''}
        end={
          <>
            {!folded && (
              <>
                {opened.size > 0 && (
                  <Button size="small" onClick={() => setOpened(new Set())}>
                    Group again
                  </Button>
                )}
                <ToolButton icon="minus" label="Zoom out" onClick={() => zoomBy(1 / ZOOM_STEP)} />
                <ToolButton icon="plus" label="Zoom in" onClick={() => zoomBy(ZOOM_STEP)} />
                <ToolButton
                  icon="fit"
                  label="Show the whole graph"
                  onClick={() => setView(() => fit(layout, frame))}
                />
              </>
            )}
            {tools}
          </>
        }
      >
        {shown.length < nodes.length && !folded && (
          <span className="text-small text-muted-foreground">similar stages drawn as one</span>
        )}
      </CardHeader>
      {!folded && (
        <div ref={measure} className="relative" style={{ height: frame.height }}>
          {size && (
            <Canvas
              frame={frame}
              layout={layout}
              view={view}
              setView={setView}
              nodes={shown}
              selected={chosen?.id ?? null}
              onSelect={(id) => {
                if (id.startsWith(GROUP_PREFIX)) setOpened(new Set([...opened, id]))
                else onSelect?.(id)
              }}
            />
          )}
        </div>
      )}
    </Card>
  )
}

function ToolButton({
  icon,
  label,
  onClick,
}: {
  icon: IconName
  label: string
  onClick: () => void
}) {
  return (
    <Button size="icon" variant="ghost" className="size-7" aria-label={label} onClick={onClick}>
      <Icon name={icon} className="size-3.5" />
    </Button>
  )
}

/** Where somebody has moved this drawing to; until then, and for each new drawing, what shows it best. */
function useView(layout: Layout, frame: Frame, focus: string | undefined): [View, SetView] {
  const [moved, setMoved] = useState<{ layout: Layout; view: View } | null>(null)
  const initial = initialView(layout, frame, focus ? layout.nodes.get(focus) : undefined)
  const setView: SetView = (change) =>
    setMoved((before) => ({
      layout,
      view: change(before?.layout === layout ? before.view : initial),
    }))
  return [moved?.layout === layout ? moved.view : initial, setView]
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
