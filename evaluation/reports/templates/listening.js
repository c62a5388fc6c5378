const test=JSON.parse(document.getElementById('test').textContent),at=id=>document.getElementById(id);
if(test.pairs.length){
const random=n=>{const limit=Math.floor(2**32/n)*n,word=new Uint32Array(1);do{crypto.getRandomValues(word)}while(word[0]>=limit);return word[0]%n};
const choices=[...document.querySelectorAll('.choice')];let order,trials,heard,playing;
const stop=()=>{if(playing){playing.pause();playing=null}};
const side=number=>{const now=order[trials.length];return number===1?now.first:now.first==='a'?'b':'a'};
const play=number=>{stop();const audio=new Audio(at(`${side(number)}-${order[trials.length].pair}`).src);playing=audio;heard[number-1]++;audio.play().catch(()=>{});for(const choice of choices)choice.disabled=!(heard[0]&&heard[1])};
const chance=(wins,all)=>{const log=[0];for(let n=1;n<=all;n++)log.push(log[n-1]+Math.log(n));const of=n=>Math.exp(log[all]-log[n]-log[all-n]-all*Math.log(2));let sum=0;for(let n=0;n<=all;n++)if(of(n)<=of(wins)*(1+1e-7))sum+=of(n);return Math.min(1,sum)};
const ask=()=>{stop();heard=[0,0];for(const choice of choices)choice.disabled=true;if(trials.length===order.length){tell();return}at('place').textContent=`${trials.length+1} / ${order.length}`;at('sentence').textContent=test.pairs[order[trials.length].pair].text};
const tell=()=>{const count=name=>trials.filter(trial=>trial.chose===name).length,a=count('a'),b=count('b');at('wins-a').textContent=a;at('wins-b').textContent=b;at('ties').textContent=count('none');at('p').textContent=chance(a,a+b).toPrecision(2);at('trial').hidden=true;at('outcome').hidden=false;at('save').focus()};
const begin=()=>{trials=[];order=test.pairs.map((_,pair)=>({pair,first:random(2)?'a':'b'}));for(let n=order.length-1;n>0;n--){const m=random(n+1);[order[n],order[m]]=[order[m],order[n]]}at('trial').hidden=false;at('outcome').hidden=true;ask()};
at('play1').onclick=()=>play(1);at('play2').onclick=()=>play(2);
for(const choice of choices)choice.onclick=()=>{const now=order[trials.length],pair=test.pairs[now.pair],word=choice.dataset.choice;trials.push({id:pair.id,text:pair.text,first:now.first,sounds:pair.sounds,chose:word==='none'?'none':side(word==='first'?1:2),plays:heard});ask();if(trials.length<order.length)at('play1').focus()};
at('again').onclick=begin;
at('save').onclick=()=>{const about={kind:test.kind,schema:test.schema,a:test.a,b:test.b,listener:at('listener').value.trim(),ended:new Date().toISOString(),sentences:test.pairs.length,trials},link=document.createElement('a');link.href=URL.createObjectURL(new Blob([JSON.stringify(about,null,1)],{type:'application/json'}));link.download=`listening-${test.a}-${test.b}.json`.replace(/[^\p{L}\p{N}._-]+/gu,'-');link.click();setTimeout(()=>URL.revokeObjectURL(link.href),10000)};
begin()}
