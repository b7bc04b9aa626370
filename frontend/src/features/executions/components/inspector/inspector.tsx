import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { StateBadge } from '@/components/state-badge'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { Tab, TabList, TabPanel, Tabs } from '@/components/ui/tabs'
import { AttemptsPanel } from '@/features/executions/components/inspector/attempts-panel'
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

type Execution = Schemas['ExecutionDetail']
type StageRun = Schemas['StageRunBody']
type InspectorProps = {
  execution: Execution
  selection: Selection
  /** Beside the type of the stage: what can be done with it. */
  tools?: (run: StageRun) => ReactNode
}

/** Everything about one stage run, or about the execution as a whole. */
export function Inspector({ execution, selection, tools }: InspectorProps) {
  return (
    <Card aria-label="Inspector" className="flex flex-col desktop:sticky desktop:top-3.5">
      {selection.run ? (
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

type StageInspectorProps = InspectorProps & { run: StageRun }

function StageInspector({ execution, run, selection, tools }: StageInspectorProps) {
  const failingRow = run.error?.location?.row ?? null
  const names = new Map(execution.stages.map((stage) => [stage.stage, stage.name]))
  return (
    <>
      <Heading
        title={run.index > 0 ? `${run.name} [${run.index}]` : run.name}
        end={
          <>
            {run.type}
            {tools?.(run)}
            <Button variant="ghost" size="small" onClick={selection.selectWhole}>
              <Icon name="close" className="size-3.5" />
              All stages
            </Button>
          </>
        }
      >
        <StateBadge status={run.status} />
      </Heading>
      <StageNotes run={run} />
      <Tabs value={selection.tab} onValueChange={selection.selectTab} activationMode="manual">
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
          />
          {failingRow !== null && (
            <FailingRow stages={execution.stages} run={run} row={failingRow} />
          )}
        </TabPanel>
        {run.items && (
          <TabPanel value="items" className={PANEL}>
            <ItemsPanel executionId={execution.id} run={run} />
          </TabPanel>
        )}
        <TabPanel value="data" className={PANEL}>
          <DataPanel executionId={execution.id} run={run} />
        </TabPanel>
        <TabPanel value="input" className={PANEL}>
          <InputPanel
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
function StageNotes({ run }: { run: StageRun }) {
  const notes: Record<string, ReactNode> = {
    reason: run.reason,
    cached: run.cached_from && <ExecutionNote text="result taken from" id={run.cached_from} />,
    reused: run.reused_from && <ExecutionNote text="result reused from" id={run.reused_from} />,
    iterations: run.iterations > 1 && `${run.iterations} iterations`,
    late: run.late && 'late: its deadline has passed',
  }
  const shown = Object.entries(notes).filter(([, note]) => note)
  if (shown.length === 0 && !run.items) return null
  return (
    <div className="flex flex-col gap-1 border-b border-border-soft px-4 py-2 text-small">
      {shown.map(([name, note]) => (
        <p key={name} className="wrap-text text-secondary-foreground">
          {note}
        </p>
      ))}
      {run.items && <ItemBar items={run.items} />}
    </div>
  )
}

function ExecutionNote({ text, id }: { text: string; id: string }) {
  return (
    <>
      {text}{' '}
      <Link to={`/executions/${id}`} className="text-link hover:underline">
        an earlier execution
      </Link>
    </>
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

function Heading({ title, end, children }: HeadingProps) {
  return (
    <div className="flex min-h-[46px] flex-wrap items-center gap-x-2.5 gap-y-1 border-b border-border-soft px-4 py-2">
      <h2 className="mono wrap-text text-body font-semibold">{title}</h2>
      {children}
      <div className="ml-auto flex items-center gap-1 text-small text-muted-foreground">{end}</div>
    </div>
  )
}
