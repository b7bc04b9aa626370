import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { StateBadge } from '@/components/state-badge'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { Tab, TabList, TabPanel, Tabs } from '@/components/ui/tabs'
import { itemQuery } from '@/features/executions/api'
import { ExecutionLink } from '@/features/executions/components/execution-link'
import { AttemptsPanel } from '@/features/executions/components/inspector/attempts-panel'
import { CancelStageButton } from '@/features/executions/components/inspector/cancel-stage-button'
import { ConfigPanel } from '@/features/executions/components/inspector/config-panel'
import { DataPanel } from '@/features/executions/components/inspector/data-panel'
import { FailingRow } from '@/features/executions/components/inspector/failing-row'
import { InputPanel } from '@/features/executions/components/inspector/input-panel'
import { ItemsPanel } from '@/features/executions/components/inspector/items-panel'
import { JsonBlock } from '@/features/executions/components/inspector/json-block'
import { LogPanel } from '@/features/executions/components/inspector/log-panel'
import { ItemBar } from '@/features/executions/components/item-bar'
import type { Selection } from '@/features/executions/use-selection'
import type { Schemas } from '@/lib/api'
import { shownStatus } from '@/lib/status'

type Execution = Schemas['ExecutionDetail']
type StageRun = Schemas['StageRunBody']
type InspectorProps = {
  execution: Execution
  selection: Selection
  /** Beside the type of the stage: what can be done with it. */
  tools?: ((run: StageRun) => ReactNode) | undefined
}

/** Everything about one stage run, or about the execution as a whole. */
export function Inspector({ execution, selection, tools }: InspectorProps) {
  return (
    <Card aria-label="Inspector" className="flex flex-col desktop:sticky desktop:top-3.5">
      {selection.item ? (
        <ItemInspector
          execution={execution}
          item={selection.item}
          selection={selection}
          tools={tools}
        />
      ) : selection.run ? (
        <StageInspector
          execution={execution}
          run={selection.run}
          selection={selection}
          tools={tools}
        />
      ) : (
        <WholeInspector execution={execution} selection={selection} />
      )}
    </Card>
  )
}

const PANEL = 'min-h-[260px] -outline-offset-2'

type ItemInspectorProps = InspectorProps & { item: { stage: string; index: number } }

/** One item of a foreach stage: it is read like a stage. */
function ItemInspector({ item: { stage, index }, ...props }: ItemInspectorProps) {
  const item = useQuery(itemQuery(props.execution.id, stage, index))
  if (item.isPending) return <SkeletonRows rows={6} label="Loading the item" />
  if (item.error) {
    return (
      <>
        <Heading
          title={`${stage} [${index}]`}
          end={<BackToItems stage={stage} selection={props.selection} />}
        />
        <ErrorPanel error={item.error} what="The item" onRetry={() => void item.refetch()} />
      </>
    )
  }
  return <StageInspector {...props} run={item.data} tools={undefined} item={item.data.item} />
}

function BackToItems({ stage, selection }: { stage: string; selection: Selection }) {
  return (
    <Button variant="ghost" size="small" onClick={() => selection.showItems(stage)}>
      <Icon name="close" className="size-3.5" />
      All items
    </Button>
  )
}

type StageInspectorProps = InspectorProps & {
  run: StageRun
  /** What an item of a foreach stage is for. */
  item?: unknown
}

function StageInspector({ execution, run, selection, tools, item }: StageInspectorProps) {
  // The tab of the items themselves is not there for one of them.
  const tab = selection.tab === 'items' && !run.items ? 'logs' : selection.tab
  const failingRow = run.error?.location?.row ?? null
  const names = new Map(execution.stages.map((stage) => [stage.stage, stage.name]))
  return (
    <>
      <Heading
        title={run.index > 0 ? `${run.name} [${run.index}]` : run.name}
        end={
          <>
            {tools?.(run)}
            <CancelStageButton execution={execution} run={run} />
            {item === undefined ? (
              <Button variant="ghost" size="small" onClick={selection.selectWhole}>
                <Icon name="close" className="size-3.5" />
                All stages
              </Button>
            ) : (
              <BackToItems stage={run.stage} selection={selection} />
            )}
          </>
        }
      >
        <StateBadge status={shownStatus(run)} />
        <span className="text-small text-muted-foreground">{run.type}</span>
      </Heading>
      {item !== undefined && (
        <p className="mono wrap-text border-b border-border-soft px-4 py-2 text-small">
          {typeof item === 'string' ? item : JSON.stringify(item)}
        </p>
      )}
      <StageNotes run={run} execution={execution} />
      <Tabs value={tab} onValueChange={selection.selectTab} activationMode="manual">
        <TabList aria-label="About the stage">
          <Tab value="logs">Logs</Tab>
          {run.items && <Tab value="items">Items</Tab>}
          <Tab value="data">Data</Tab>
          <Tab value="input">Input</Tab>
          <Tab value="config">Config</Tab>
          <Tab value="attempts">Attempts {run.attempt > 0 && run.attempt}</Tab>
        </TabList>
        <TabPanel value="logs" className={PANEL}>
          <LogPanel
            executionId={execution.id}
            ended={execution.ended_at !== null}
            stage={run.stage}
            index={item === undefined ? null : run.index}
          />
          {failingRow !== null && (
            <FailingRow
              executionId={execution.id}
              stages={execution.stages}
              run={run}
              row={failingRow}
            />
          )}
        </TabPanel>
        {run.items && (
          <TabPanel value="items" className={PANEL}>
            <ItemsPanel
              executionId={execution.id}
              run={run}
              onOpen={(index) => selection.openItem(run.stage, index)}
            />
          </TabPanel>
        )}
        <TabPanel value="data" className={PANEL}>
          <DataPanel executionId={execution.id} run={run} />
        </TabPanel>
        <TabPanel value="input" className={PANEL}>
          <InputPanel
            executionId={execution.id}
            stages={execution.stages}
            run={run}
            names={names}
            row={selection.row ?? failingRow}
          />
        </TabPanel>
        <TabPanel value="config" className={PANEL}>
          <ConfigPanel executionId={execution.id} run={run} />
        </TabPanel>
        <TabPanel value="attempts" className={PANEL}>
          <AttemptsPanel executionId={execution.id} run={run} />
        </TabPanel>
      </Tabs>
    </>
  )
}

/** Why it waits, where its result comes from, and what else is out of the ordinary. */
function StageNotes({ run, execution }: { run: StageRun; execution: Execution }) {
  const notes: Record<string, ReactNode> = {
    // Of a cached result the next line tells the same, with a way there.
    reason: run.reason && !run.cached_from && <Prose text={run.reason} />,
    cached: run.cached_from && (
      <>
        result taken from the cache of <ExecutionLink id={run.cached_from} />
      </>
    ),
    reused: run.reused_from && (
      <>
        result reused from <ExecutionLink id={run.reused_from} />
      </>
    ),
    iterations: run.iterations > 1 && `${run.iterations} iterations`,
    late: run.late && 'late: its deadline has passed',
  }
  const shown = Object.entries(notes).filter(([, note]) => note)
  const children = execution.children.filter(
    (child) => child.stage === run.stage && child.index === run.index,
  )
  if (shown.length === 0 && children.length === 0 && !run.items) return null
  return (
    <div className="flex flex-col gap-1 border-b border-border-soft px-4 py-2 text-small">
      {shown.map(([name, note]) => (
        <p key={name} className="wrap-text text-secondary-foreground">
          {note}
        </p>
      ))}
      {children.map((child) => (
        <p key={child.execution_id} className="flex flex-wrap items-center gap-2">
          started
          <Link to={`/executions/${child.execution_id}`} className="text-link underline">
            {child.pipeline_id} #{child.number}
          </Link>
          <StateBadge status={child.status} />
        </p>
      ))}
      {run.items && <ItemBar items={run.items} />}
    </div>
  )
}

function WholeInspector({ execution, selection }: InspectorProps) {
  const tab = selection.tab === 'input' || selection.tab === 'data' ? selection.tab : 'logs'
  return (
    <>
      <Heading title="All stages" end="Choose a stage to look closer" />
      <Tabs value={tab} onValueChange={selection.selectTab} activationMode="manual">
        <TabList aria-label="About the execution">
          <Tab value="logs">Logs</Tab>
          <Tab value="input">Inputs</Tab>
          <Tab value="data">Outputs</Tab>
        </TabList>
        <TabPanel value="logs" className={PANEL}>
          <LogPanel executionId={execution.id} ended={execution.ended_at !== null} stage={null} />
        </TabPanel>
        <TabPanel value="input" className={PANEL}>
          <JsonBlock
            title="Inputs"
            value={execution.inputs}
            empty="It was started without inputs."
          />
        </TabPanel>
        <TabPanel value="data" className={PANEL}>
          <JsonBlock
            title="Outputs"
            value={execution.outputs}
            empty="The pipeline declares no outputs, or has not come to them."
          />
        </TabPanel>
      </Tabs>
    </>
  )
}

type HeadingProps = { title: string; end: ReactNode; children?: ReactNode }

/** A last button has no border: its words end where everything below ends. */
function Heading({ title, end, children }: HeadingProps) {
  return (
    <div className="flex min-h-[46px] flex-wrap items-center gap-x-2.5 gap-y-1 border-b border-border-soft px-4 py-2">
      <h2 className="mono wrap-text text-body font-semibold">{title}</h2>
      {children}
      <div className="ml-auto flex items-center gap-1 text-small text-muted-foreground has-[button:last-child]:-mr-2.5">
        {end}
      </div>
    </div>
  )
}
